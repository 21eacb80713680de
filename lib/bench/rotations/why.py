"""Why rotated weights fail when they are rounded to the nearest, and GPTQ cures it.

    python -m lib.bench rotations_why

The inputs of a layer have one loud direction u, the largest eigenvector of their second
moment H: half of their energy lies along it. A layer errs by

    E ‖Δ x‖² = tr(Δ H Δᵀ) = λ_u ‖Δ u‖²  +  the rest,      Δ = Ŵ − W

Two steps make that worse. With the gains folded in, the weights are small along u, so
that an error of the same size is a larger share of W u. While u is nearly one channel,
its small weights lie near the level 0 and err by less than others; rotated, u is spread
over all columns, and Δ u is as large as along any other direction. GPTQ reads H, so it
spends its freedom on u first.

Rows measure that: λ_u / tr H, ‖W u‖² and ‖Δ u‖² beside the mean column's, and u's
share of the error. Then they intervene. `top` takes back the error along u alone, by a
matrix of rank one a layer; `random` does the same along another direction; `first`
keeps the first token of each window out of rounding. And GPTQ without u in its H has to
fail, if u is what it cures (`--gptq`, which takes minutes a variant).

Read in order: `loudest`, `shares`, `repaired`, `main`.  Lecture 07 draws it.
"""

import argparse
import copy
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from lib.bench.record import Run, record
from lib.bench.rotations.common import GROUP, VARIANTS, FastGPTQ, Setting
from lib.bench.rotations.common import add_options as shared_options
from lib.models.hooks import stream_inputs
from lib.models.packed_file import dense
from lib.models.quantize import quantize_model
from lib.models.walk import linear_layers, mapped_weights
from lib.quant.hessian import Hessian
from lib.quant.uniform.grouped import Grouped, RoundToNearest

ROUNDS = 30  # of power iteration: λ_u is far above the next one
MOMENTS = 4  # windows of the calibration text that H is taken from
READERS = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")  # of the stream
REPAIRS = ("none", "top", "random", "first")
Weights = dict[str, Tensor]


def loudest(h: Float[Tensor, "d d"]) -> Float[Tensor, " d"]:
    """The unit eigenvector of H's largest eigenvalue, by power iteration."""
    u = h @ torch.ones(len(h), dtype=h.dtype, device=h.device)
    for _ in range(ROUNDS):
        u = h @ (u / u.norm())
    return u / u.norm()


def weights_of(model: PreTrainedModel) -> Weights:
    """The weight of each linear layer, by name."""
    return {n: layer.weight.detach() for n, layer in linear_layers(model).items()}


@torch.no_grad()
def moments(setting: Setting, model: PreTrainedModel) -> Weights:
    """H of each layer's inputs, on some windows of the calibration text."""
    layers = linear_layers(model)
    sums = {name: Hessian(layer.in_features) for name, layer in layers.items()}
    receivers = {name: h.add for name, h in sums.items()}
    stream_inputs(model, setting.calibration[:MOMENTS], receivers)
    return {name: h.matrix for name, h in sums.items()}


@torch.no_grad()
def shares(model: PreTrainedModel, small: Weights, hs: Weights) -> dict[str, float]:
    """The numbers of the equation, over the layers that read the stream."""
    rows = []
    for name, layer in linear_layers(model).items():
        if not name.endswith(READERS):
            continue
        h, w = hs[name], layer.weight.to(hs[name])
        u, delta = loudest(h), small[name].to(h) - w
        loud = (u @ h @ u).item()
        error = ((delta @ h) * delta).sum().item()
        rows.append(
            {
                "loud": loud / h.trace().item(),
                "weight": _along(w, u),
                "delta": _along(delta, u),
                "error": loud * (delta @ u).square().sum().item() / error,
                "relative": error / ((w @ h) * w).sum().item(),
            }
        )
    found = {f"median_{key}": median(r[key] for r in rows) for key in rows[0]}
    return found | {"mean_relative": mean(r["relative"] for r in rows)}


def _along(m: Float[Tensor, "rows cols"], u: Float[Tensor, " cols"]) -> float:
    """‖M u‖² beside what a direction has on average, ‖M‖² / cols."""
    return ((m @ u).square().sum() / m.square().sum() * len(u)).item()


@contextmanager
def repaired(
    model: PreTrainedModel, small: Weights, hs: Weights, repair: str
) -> Iterator[None]:
    """The model with rounded weights, but for what `repair` takes back."""
    draw = torch.Generator().manual_seed(0)

    def weight(name: str, w: Tensor) -> Tensor:
        new = small[name].to(w)
        if repair in ("none", "first"):
            return new
        u = loudest(hs[name]).to(w)
        if repair == "random":
            u = torch.randn(len(u), generator=draw).to(w)
            u = u / u.norm()
        return new + torch.outer((w - new) @ u, u)

    originals = weights_of(model)
    with mapped_weights(model, weight):
        keep = _first_exact(model, originals) if repair == "first" else nullcontext()
        with keep:
            yield


@contextmanager
def _first_exact(model: PreTrainedModel, originals: Weights) -> Iterator[None]:
    """Each window's first token meets the weights as they were."""

    def hook_of(w: Tensor):
        def hook(layer, args, y: Tensor) -> Tensor:
            y = y.clone()
            y[:, 0] = args[0][:, 0] @ w.T
            return y

        return hook

    layers = linear_layers(model)
    handles = [
        layer.register_forward_hook(hook_of(originals[name]))
        for name, layer in layers.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True)
class Deaf(FastGPTQ):
    """GPTQ that does not hear u: of H it gets (I − u uᵀ) H (I − u uᵀ)."""

    def quantize(self, w: Tensor, inputs: Hessian) -> Grouped:
        """Quantize for inputs without their loudest direction."""
        h = inputs.matrix
        u = loudest(h)
        quiet = torch.eye(len(h), dtype=h.dtype, device=h.device) - torch.outer(u, u)
        return self.solve(w, quiet @ h @ quiet)


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """The shared options, and whether GPTQ is asked as well."""
    shared_options(parser, name)
    parser.add_argument("--bits", type=int, default=3)
    parser.add_argument("--gptq", action="store_true")


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure every variant and repair; record after each row."""
    setting, rows = Setting.of(options), []

    def keep(row: dict[str, Any]) -> None:
        rows.append(row)
        print(row, flush=True)
        how = f"{setting.protocol}; {options.bits} bits; H of {MOMENTS} windows"
        record(run, {"rows": rows}, protocol=how, device=setting.device)

    for variant in VARIANTS:
        drawn = setting.drawn(0) if variant == "rotated" else None
        model = setting.variant(variant, drawn)
        hs = moments(setting, model)
        nearest = RoundToNearest(options.bits, GROUP)
        small = {
            n: nearest.quantize(w).dequantize() for n, w in weights_of(model).items()
        }
        about = {"variant": variant, "rounding": "nearest"}
        keep(about | shares(model, small, hs))
        for repair in REPAIRS:
            with repaired(model, small, hs, repair):
                keep(about | {"repair": repair} | setting.perplexity(model))
        for method in (FastGPTQ, Deaf) if options.gptq else ():
            copied = copy.deepcopy(model)
            quantize_model(copied, method(options.bits, GROUP), setting.calibration)
            about = {"variant": variant, "rounding": method.__name__}
            found = shares(model, weights_of(dense(copied)), hs)
            keep(about | found | setting.perplexity(copied))
    return True
