"""What a method of quantization is, and what it returns.

A method is a frozen dataclass of settings that derives from `Method`: `RoundToNearest`,
`NormalFloat`, `BitNet158`, `GPTQ`, `SpQR`, `AWQ`, or your own. It knows tensors; the
walk over a model is lib/models/quantize.py. What it returns dequantizes itself and
counts its bits; serialize.py packs it.

Read in order: `Method`, `Quantized`; `PerLayer`, for layers that differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from lib.quant.hessian import Hessian


@runtime_checkable
class Quantized(Protocol):
    """A quantized matrix, whatever it is made of."""

    @property
    def bits_per_weight(self) -> float:
        """Stored bits over weights, with all that dequantization needs."""

    def dequantize(self) -> Float[Tensor, "rows cols"]:
        """ŵ."""


class Method:
    """How to quantize one layer; `calibrated` says whether it reads the inputs."""

    calibrated: ClassVar[bool] = True

    def prepare(self, model: Any, windows: Tensor | None) -> None:
        """Rearrange the model without changing what it computes; by default, nothing.

        New parameters take the place of old ones, which are never written to: so the
        walk can put them back.
        """

    def at(self, name: str) -> "Method":
        """The method for the layer of this name: by default, this one."""
        return self

    def check(self, rows: int, cols: int) -> None:
        """ValueError for a shape that `quantize` would refuse: asked before any work.

        By default any shape will do.
        """

    def quantize(self, w: Tensor, inputs: Hessian | None) -> Quantized:
        """The quantized weight, given the second moment of the layer's inputs.

        ValueError for weights, shapes or inputs that the method cannot take.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class PerLayer(Method):
    """A method a layer, by name; ValueError for none, or one that has a `prepare`."""

    methods: Mapping[str, Method]

    def __post_init__(self) -> None:
        if not self.methods:
            raise ValueError("0 methods were given")
        for name, method in self.methods.items():
            if type(method).prepare is not Method.prepare:
                raise ValueError(f"{name}: {method!r} rearranges the whole model")

    @property
    def calibrated(self) -> bool:
        """Whether one of them reads the inputs."""
        return any(method.calibrated for method in self.methods.values())

    def at(self, name: str) -> Method:
        """The method of this layer; ValueError where there is none."""
        if name not in self.methods:
            raise ValueError(f"no method for {name}, among {len(self.methods)} layers")
        return self.methods[name]
