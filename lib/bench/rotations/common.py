"""What the benchmarks of rotations share: the text, the variants, a method, a row."""

import argparse
import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedModel

from lib.bench.record import device_name, processor_name
from lib.data.text import calibration_windows
from lib.kernels.gptq.columns import gptq_codes
from lib.models.evaluate import EvaluationProtocol, window_losses
from lib.models.load import load_model
from lib.models.packed_file import dense
from lib.models.quantize import quantize_model
from lib.models.rotate.fold import fold_norms, untie_head
from lib.models.rotate.online import round_online
from lib.models.rotate.turn import Rotations, draw_rotations, rotate_model
from lib.quant.hessian import Hessian
from lib.quant.method import Method
from lib.quant.solvers.gptq import GPTQ, gptq
from lib.quant.uniform.grouped import Grouped, RoundToNearest

PROTOCOLS = {
    "short": EvaluationProtocol("hamlet", tokens=1024),
    "full": EvaluationProtocol("hamlet"),
}
WINDOW, GROUP = 512, 64
SHORT = 2  # windows of the short protocol, which the full one begins with
CLIP, CACHE_CLIP = 0.9, 0.95  # QuaRot's, of 4 bits
VARIANTS = ("rotated", "plain", "folded")
FLOWS = {  # what flows through the model: bits of inputs and of the cache, and a clip
    "A16": {},
    "A8": {"inputs": 8},
    "A4": {"inputs": 4},
    "A4 clipped": {"inputs": 4, "clip": CLIP},
    "A4KV4": {"inputs": 4, "clip": CLIP, "cache": 4, "cache_clip": CACHE_CLIP},
}


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Where it runs, on how much text, and how many seeds."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--protocol", choices=tuple(PROTOCOLS), default="short")
    parser.add_argument("--seeds", type=int, default=1, help="of the random signs")
    parser.add_argument("--windows", type=int, default=16, help="to calibrate on")


@dataclass(frozen=True, eq=False)
class Setting:
    """A model, the text that measures it, and the text that calibrates it."""

    model: PreTrainedModel
    text: Int[Tensor, "n window"]
    calibration: Int[Tensor, "m length"]
    protocol: str
    device: str

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Setting":
        """As the options say."""
        model, tokenizer = load_model()
        chosen = PROTOCOLS[options.protocol]
        cuda = options.device == "cuda"
        calibration = calibration_windows(
            tokenizer, count=options.windows, window=WINDOW, seed=0
        )
        return cls(
            model.to(options.device),
            chosen.windows(tokenizer).to(options.device),
            calibration.to(options.device),
            f"{chosen}; GPTQ on {options.windows} windows of {WINDOW} of the "
            f"calibration plays; groups of {GROUP}",
            device_name() if cuda else processor_name(),
        )

    def variant(self, name: str, rotations: Rotations | None = None) -> PreTrainedModel:
        """A copy that computes the same: "plain", "folded" or rotated."""
        model = copy.deepcopy(self.model)
        if name != "plain":
            untie_head(model)
            fold_norms(model)
        if rotations is not None:
            rotate_model(model, rotations)
        return model

    def drawn(self, seed: int) -> Rotations:
        """Rotations by random signs."""
        return draw_rotations(self.model, seed)

    @torch.inference_mode()
    def perplexity(self, model: PreTrainedModel) -> dict[str, float | None]:
        """Of the whole text, and of its first 1,024 tokens.

        None where it is not finite, for JSON has no infinity.
        """
        nats = window_losses(model, self.text)
        both = {"perplexity": nats.mean(), "short": nats[:SHORT].mean()}
        return {k: math.exp(v) if v < 700 else None for k, v in both.items()}


@dataclass(frozen=True)
class FastGPTQ(GPTQ):
    """GPTQ, on a GPU by the kernel of its column loop."""

    def quantize(self, w: Tensor, inputs: Hessian) -> Grouped:
        """Quantize a layer's weight where it lies."""
        return self.solve(w, inputs.matrix)

    def solve(self, w: Tensor, h: Tensor) -> Grouped:
        """The same for this second moment."""
        return gptq_codes(w, h, self) if w.is_cuda else gptq(w, h, self)


def rounder(kind: str, bits: int) -> Method:
    """ "nearest" or "gptq", in groups of 64."""
    return (FastGPTQ if kind == "gptq" else RoundToNearest)(bits, GROUP)


def rounded(
    setting: Setting, model: PreTrainedModel, kind: str, bits: int
) -> tuple[PreTrainedModel, float]:
    """A copy with rounded weights, dense, and the mean relative error of its layers."""
    copied = copy.deepcopy(model)
    report = quantize_model(copied, rounder(kind, bits), setting.calibration)
    errors = [layer.error for layer in report.layers.values()]
    return dense(copied), sum(errors) / len(errors)


def flow_rows(
    setting: Setting, model: PreTrainedModel, flows: tuple[str, ...], **about: Any
) -> Iterator[dict[str, Any]]:
    """The model's perplexity under each of these roundings of what flows; in place."""
    for flow in flows:
        round_online(model, **FLOWS[flow])
        row = {**about, "flow": flow, **setting.perplexity(model)}
        print(row, flush=True)
        yield row
    round_online(model)
