"""Quantize every linear layer of a model by any method, in one pass of the text.

All calibration windows go through the model together. Just before a layer would run,
its inputs, made by layers that are quantized already, give H; the layer is quantized on
the spot and runs with its new weights. So one forward pass calibrates the whole model,
each layer is fitted to the inputs that it will really get, and layers that share an
input (q, k and v; gate and up) share its H.

A method is a frozen dataclass with `quantize(w, inputs) -> Quantized`:
`RoundToNearest`, `NormalFloat`, `AWQ`, `GPTQ`, `SpQR`, or your own. One that first
rearranges the model without changing what it computes (AWQ) also has `prepare(model,
windows)`.

Read in order: `RoundToNearest`, `quantize_model`, `_InFlight`.  Taught in notebooks/06.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lib.models.walk import linear_layers, replace_layer
from lib.progress import progress
from lib.quant.grouped import Grouped, round_to_nearest
from lib.quant.hessian import Hessian
from lib.quant.normal_float import FourBit, quantize_4bit
from lib.quant.packed_linear import PackedLinear
from lib.quant.stored import Quantized, matrix, stored, unstored


@runtime_checkable
class Method(Protocol):
    """How to quantize one layer; `calibrated` says whether it reads the inputs."""

    calibrated: ClassVar[bool]

    def quantize(self, w: Tensor, inputs: Hessian | None) -> Quantized:
        """The quantized weight, given the second moment of the layer's inputs."""


@dataclass(frozen=True)
class RoundToNearest:
    """Each weight to its group's nearest level; needs no calibration.

    `candidates` > 1 clips each group's range where that lowers its squared error.
    """

    calibrated: ClassVar[bool] = False
    bits: int = 4
    group: int = 64
    symmetric: bool = False
    candidates: int = 1

    def quantize(self, w: Tensor, inputs: Hessian | None = None) -> Grouped:
        """Round `w`; the inputs do not matter."""
        return round_to_nearest(
            w,
            bits=self.bits,
            group=self.group,
            symmetric=self.symmetric,
            candidates=self.candidates,
        )


@dataclass(frozen=True)
class NormalFloat:
    """NF4 (or FP4) in blocks, its constants perhaps quantized too (lecture 05)."""

    calibrated: ClassVar[bool] = False
    kind: str = "nf4"
    block: int = 64
    double: bool = False

    def quantize(self, w: Tensor, inputs: Hessian | None = None) -> FourBit:
        """Round `w`; the inputs do not matter."""
        return quantize_4bit(w, kind=self.kind, block=self.block, double=self.double)


@dataclass(frozen=True)
class LayerReport:
    """What happened to a layer. `error` is ‖(W − Ŵ)X‖² / ‖WX‖², if X was seen."""

    weights: int
    bits_per_weight: float
    error: float | None


@dataclass(frozen=True)
class Report:
    """What happened to a model."""

    layers: dict[str, LayerReport]

    @property
    def bits_per_weight(self) -> float:
        """Mean over all weights of the quantized layers."""
        total = sum(layer.weights for layer in self.layers.values())
        bits = sum(r.bits_per_weight * r.weights for r in self.layers.values())
        return bits / total


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
    interruption, and what is there is read, not computed. ValueError where the folder
    holds another method's layers, where the method needs windows and gets none, and for
    whatever the method refuses, with the layer's name.
    """
    if windows is None and method.calibrated:
        raise ValueError(f"{type(method).__name__} needs calibration windows")
    layers = linear_layers(model)
    if hasattr(method, "prepare"):
        method.prepare(model, windows)
    shelf = _Shelf(folder, method, windows, sequential)
    flight = _InFlight(layers, method, shelf, sequential)
    if windows is None:
        for name in progress(layers, "quantizing"):
            flight.do(name, None)
    else:
        flight.run(model, windows)
    for name, packed in flight.done.items():
        replace_layer(model, name, packed)
    return Report(flight.reports)


class _InFlight:
    """Quantizes layers as their inputs arrive."""

    def __init__(
        self,
        layers: dict[str, nn.Linear],
        method: Method,
        shelf: "_Shelf",
        sequential: bool,
    ) -> None:
        self.layers, self.method, self.shelf = layers, method, shelf
        self.sequential = sequential
        self.done: dict[str, PackedLinear] = {}
        self.reports: dict[str, LayerReport] = {}
        self._seen: tuple[Tensor, Hessian] | None = None

    def run(self, model: nn.Module, windows: Int[Tensor, "n window"]) -> None:
        """One forward pass of all `windows`, quantizing on the way."""
        bar = iter(progress(self.layers, "quantizing"))

        def arrive(name: str, args: tuple[Tensor, ...]) -> None:
            next(bar)
            self.do(name, self._inputs(name, args[0]))

        handles = [
            layer.register_forward_pre_hook(
                lambda _, args, name=name: arrive(name, args)
            )
            for name, layer in self.layers.items()
        ]
        try:
            with torch.no_grad():
                getattr(model, "base_model", model)(windows, use_cache=False)
        finally:
            bar.close()
            for handle in handles:
                handle.remove()
        if idle := [name for name in self.layers if name not in self.done]:
            raise ValueError(f"{len(idle)} layers got no inputs, first {idle[0]}")

    def _inputs(self, name: str, x: Float[Tensor, "... cols"]) -> Hessian:
        """H of these inputs; layers that read the same tensor share it."""
        if self._seen is None or self._seen[0] is not x:
            inputs = Hessian(x.shape[-1])
            try:
                inputs.add(x)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            self._seen = (x, inputs)
        return self._seen[1]

    def do(self, name: str, inputs: Hessian | None) -> None:
        """Quantize one layer, or take it from the shelf; it runs on with Ŵ."""
        layer = self.layers[name]
        w = layer.weight.detach()
        quantized = self.shelf.find(name)
        if quantized is None:
            try:
                quantized = self.method.quantize(w, inputs)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            self.shelf.keep(name, quantized)
        rounded = matrix(quantized)
        error = None if inputs is None else _relative_error(w, rounded, inputs)
        self.reports[name] = LayerReport(w.numel(), quantized.bits_per_weight, error)
        self.done[name] = PackedLinear.of(quantized, layer.bias).to(w.device)
        if self.sequential:
            layer.weight = nn.Parameter(rounded.to(w), requires_grad=False)


def _relative_error(w: Tensor, rounded: Tensor, inputs: Hessian) -> float:
    """tr((W − Ŵ) H (W − Ŵ)ᵀ) / tr(W H Wᵀ)."""
    h = inputs.matrix.to(w.dtype)
    delta = w - rounded.to(w)
    lost, whole = (((m @ h) * m).sum().item() for m in (delta, w))
    return lost / whole if whole else 0.0


class _Shelf:
    """Finished layers on disk, each written in one step, marked with their settings."""

    def __init__(
        self,
        folder: Path | None,
        method: Method,
        windows: Tensor | None,
        sequential: bool,
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        tokens = b"" if windows is None else windows.cpu().numpy().tobytes()
        text = hashlib.sha256(tokens).hexdigest()[:16]
        self.mark = f"{method!r}, tokens {text}, sequential={sequential}"
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)

    def find(self, name: str) -> Quantized | None:
        """The layer, if it is there; ValueError if other settings made it."""
        if self.folder is None or not (path := self._path(name)).is_file():
            return None
        with safe_open(path, "pt") as file:
            about = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if about["mark"] != self.mark:
            raise ValueError(
                f"{path.name} was made by {about['mark']}, not by {self.mark}: "
                "choose another folder"
            )
        return unstored(tensors, json.loads(about["words"]))

    def keep(self, name: str, quantized: Quantized) -> None:
        """Write the layer to a draft, then rename it: no half files."""
        if self.folder is None:
            return
        tensors, words = stored(quantized)
        draft = self.folder / f"{name}.{os.getpid()}.draft"
        metadata = {"mark": self.mark, "words": json.dumps(words)}
        save_file(
            {k: t.contiguous() for k, t in tensors.items()}, draft, metadata=metadata
        )
        draft.replace(self._path(name))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"
