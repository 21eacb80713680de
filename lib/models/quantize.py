"""Quantize or prune every linear layer of a model by any method, in one pass of text.

Each layer's inputs, made by layers that are quantized already, give H; the layer is
quantized on the spot and runs with its new weights (sequential.py). So each layer is
fitted to the inputs that it will really get, and layers that share an input (q, k and
v; gate and up) share its H.

    quantize_model(model, GPTQ(bits=4, group=64), windows)
    quantize_model(model, SparseGPT(0.5), windows)

A method is anything that derives from lib.quant.method's `Method`, the pruners of
lib/prune included; `PerLayer` gives each layer its own; one that first
rearranges the model without changing what it computes (`AWQ` of rescale.py) does so in
its `prepare`.

Read in order: `quantize_model`, `_Quantizer`.  Taught in notebooks/06.
"""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lib.layers.packed import PackedLinear
from lib.models.checkpoint import Checkpoint
from lib.models.hooks import Arrival
from lib.models.sequential import restored_on_failure, visit_layers
from lib.models.walk import linear_layers, other_matrices, replace_layer
from lib.progress import progress
from lib.quant.hessian import Hessian
from lib.quant.method import Method, Quantized
from lib.quant.serialize import deserialize, serialize


@dataclass(frozen=True)
class LayerReport:
    """What a layer is now. `error` is ‖(W − Ŵ)X‖² / ‖WX‖², if X was seen."""

    weights: int
    bits_per_weight: float
    error: float | None


@dataclass(frozen=True)
class Report:
    """What happened to a model: its quantized layers, and the parameters beside them.

    `dense` are those that stay as they were: embeddings, norms, biases, a head, the
    experts of a mixture. Print the report for its sums.
    """

    layers: dict[str, LayerReport]
    dense: dict[str, LayerReport]

    @property
    def bits_per_weight(self) -> float:
        """Mean over all weights of the quantized layers."""
        return _mean_bits(self.layers)

    @property
    def model_bits_per_weight(self) -> float:
        """Mean over all parameters of the model, what is tied counted once."""
        return _mean_bits(self.layers | self.dense)

    def __str__(self) -> str:
        """Shares and bits, and the largest parameters that stay dense."""
        packed, left = (sum(r.weights for r in d.values()) for d in self._both)
        largest = sorted(self.dense, key=lambda n: -self.dense[n].weights)[:4]
        names = "".join(f"\n  {n}: {self.dense[n].weights:,}" for n in largest)
        return (
            f"{packed:,} of {packed + left:,} parameters at "
            f"{self.bits_per_weight:.3f} bits, the whole model at "
            f"{self.model_bits_per_weight:.3f}; {left:,} stay dense, most in{names}"
        )

    @property
    def _both(self) -> tuple[dict[str, LayerReport], dict[str, LayerReport]]:
        return self.layers, self.dense


def _mean_bits(parts: dict[str, LayerReport]) -> float:
    """Mean bits, each part weighing as many weights as it has."""
    total = sum(part.weights for part in parts.values())
    return sum(part.bits_per_weight * part.weights for part in parts.values()) / total


def quantize_model(
    model: nn.Module,
    method: Method,
    windows: Int[Tensor, "n window"] | None = None,
    *,
    sequential: bool = True,
    folder: Path | None = None,
) -> Report:
    """Replace the linear layers of `model`, in place, by `PackedLinear`s.

    `windows` are the calibration tokens, taken in one batch; RTN and NF4 do without.
    `sequential=False` calibrates every layer on the unquantized model's inputs.
    `folder` keeps each layer as soon as it is done: run the same call again after an
    interruption, and what is there is read, not computed. Where anything fails, the
    model is as it was. Shapes are looked at before anything runs, and matrices that are
    no linear layers, such as fused experts, stay dense, with a warning that names them.
    ValueError where the folder holds another method's or another model's layers, where
    the method needs windows and gets none, and for whatever the method refuses, with
    the layer's name.
    """
    if windows is None and method.calibrated:
        raise ValueError(f"{type(method).__name__} needs calibration windows")
    layers = linear_layers(model)
    for name, layer in layers.items():
        with _named(name):
            method.at(name).check(*layer.weight.shape)
    _warn_of_others(model)
    originals = {name: layer.weight.detach() for name, layer in layers.items()}
    checkpoint = None
    if folder is not None:
        tokens = b"" if windows is None else windows.cpu().numpy().tobytes()
        text = hashlib.sha256(tokens).hexdigest()[:16]
        checkpoint = Checkpoint(
            folder, f"{method!r}, tokens {text}, sequential={sequential}"
        )
    with restored_on_failure(model):
        method.prepare(model, windows)
        parameters = dict(model.named_parameters())  # an untied head is one of them
        quantizer = _Quantizer(layers, originals, method, checkpoint, sequential)
        if windows is None:
            for name in progress(layers, "quantizing"):
                quantizer.quantize(name, None)
        else:
            visit_layers(model, layers, windows, quantizer.visit, label="quantizing")
        for name, packed in quantizer.done.items():
            replace_layer(model, name, packed)
        weights = {f"{name}.weight" for name in layers}
        dense = {n: _as_it_is(p) for n, p in parameters.items() if n not in weights}
    return Report(quantizer.reports, dense)


def _as_it_is(parameter: Tensor) -> LayerReport:
    """What a parameter is that nothing happened to."""
    return LayerReport(parameter.numel(), 8.0 * parameter.element_size(), None)


def _warn_of_others(model: nn.Module) -> None:
    """Name and count the matrices that will stay dense though they are no ends."""
    others = other_matrices(model)
    if not others:
        return
    left = sum(p.numel() for p in others.values())
    total = sum(p.numel() for p in model.parameters())
    largest = sorted(others, key=lambda name: -others[name].numel())
    first = ", ".join(largest[:3]) + (", …" if len(others) > 3 else "")
    warnings.warn(
        f"{len(others)} matrices are no linear layers and stay dense, {left:,} of the "
        f"model's {total:,} parameters ({left / total:.0%}): {first}",
        stacklevel=3,
    )


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Put the layer's name before what is wrong with it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


class _Quantizer:
    """Quantizes layers as their inputs arrive."""

    def __init__(
        self,
        layers: dict[str, nn.Linear],
        originals: dict[str, Tensor],
        method: Method,
        checkpoint: Checkpoint | None,
        sequential: bool,
    ) -> None:
        self.layers, self.originals, self.method = layers, originals, method
        self.checkpoint, self.sequential = checkpoint, sequential
        self.done: dict[str, PackedLinear] = {}
        self.reports: dict[str, LayerReport] = {}
        self._seen: tuple[Tensor, Hessian] | None = None

    def visit(self, arrival: Arrival) -> None:
        """Quantize the layer that inputs arrive at."""
        self.quantize(arrival.name, self._moment(arrival.name, arrival.x))

    def _moment(self, name: str, x: Float[Tensor, "... cols"]) -> Hessian:
        """H of these inputs; layers that read the same tensor share it."""
        if self._seen is None or self._seen[0] is not x:
            inputs = Hessian(x.shape[-1])
            with _named(name):
                inputs.add(x)
            self._seen = (x, inputs)
        return self._seen[1]

    def quantize(self, name: str, inputs: Hessian | None) -> None:
        """Quantize one layer, or take it from the checkpoint; it runs on with Ŵ."""
        layer = self.layers[name]
        w = layer.weight.detach()
        quantized = self._quantized(name, w, inputs)
        rounded = quantized.dequantize()
        error = None if inputs is None else _relative_error(w, rounded, inputs)
        self.reports[name] = LayerReport(w.numel(), quantized.bits_per_weight, error)
        packed = PackedLinear.from_quantized(quantized, layer.bias, name=name)
        self.done[name] = packed.to(w.device)
        if self.sequential:
            layer.weight = nn.Parameter(rounded.to(w), requires_grad=False)

    def _quantized(self, name: str, w: Tensor, inputs: Hessian | None) -> Quantized:
        """The layer by the method, or as the checkpoint has it."""
        original = self.originals[name]
        if self.checkpoint and (kept := self.checkpoint.find(name, original)):
            return deserialize(*kept)
        with _named(name):
            quantized = self.method.at(name).quantize(w, inputs)
        if self.checkpoint:
            self.checkpoint.keep(name, original, *serialize(quantized))
        return quantized


def _relative_error(w: Tensor, rounded: Tensor, inputs: Hessian) -> float:
    """tr((W − Ŵ) H (W − Ŵ)ᵀ) / tr(W H Wᵀ), in float32 or wider: halves underflow."""
    w = w if w.dtype == torch.float64 else w.float()
    h = inputs.matrix.to(w.dtype)
    delta = w - rounded.to(w)
    lost, whole = (((m @ h) * m).sum().item() for m in (delta, w))
    return lost / whole if whole else 0.0
