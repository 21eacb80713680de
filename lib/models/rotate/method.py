"""Rotate, then quantize by any method.

    quantize_model(model, Rotate(GPTQ(bits=3)), windows)

The model is rotated first, without changing what it computes; then each layer's inputs
and weights, rotated, go to the method. Two controls come with it: `kind="none"` folds
the norms and rotates nothing, and `online=False` leaves out what runs online.

Read in order: `Rotate`.  Taught in notebooks/07.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lib.models.rotate.fold import fold_norms, untie_head
from lib.models.rotate.turn import KINDS, Rotations, draw_rotations, rotate_model
from lib.quant.hessian import Hessian
from lib.quant.method import Method, Quantized


@dataclass(frozen=True)
class Rotate(Method):
    """Rotations by `kind` and `seed`, or `learned` ones; `then` quantizes the layers.

    `kind`: "hadamard" with random signs, "orthogonal" by Haar, "none" to fold alone.
    ValueError for another kind.
    """

    then: Method
    seed: int = 0
    kind: str = "hadamard"
    online: bool = True
    learned: Rotations | None = None

    def __post_init__(self) -> None:
        """Refuse a kind that there is not."""
        if self.kind not in (*KINDS, "none"):
            raise ValueError(f"kind={self.kind!r} is none of {', '.join(KINDS)}, none")

    @property
    def calibrated(self) -> bool:
        """Whether the method behind the rotation reads the inputs."""
        return self.then.calibrated

    def prepare(self, model: Any, windows: Tensor | None) -> None:
        """Untie, fold, rotate; then whatever the method prepares."""
        if self.kind == "none" and self.learned is None:
            untie_head(model)
            fold_norms(model)
        else:
            drawn = self.learned or draw_rotations(model, self.seed, self.kind)
            rotate_model(model, drawn, online=self.online)
        self.then.prepare(model, windows)

    def at(self, name: str) -> Method:
        """The method of this layer, by the method behind the rotation."""
        return self.then.at(name)

    def check(self, rows: int, cols: int) -> None:
        """ValueError for a shape that the method would refuse."""
        self.then.check(rows, cols)

    def quantize(self, w: Tensor, inputs: Hessian | None) -> Quantized:
        """Quantize a weight, which is rotated already, by the method."""
        return self.then.quantize(w, inputs)
