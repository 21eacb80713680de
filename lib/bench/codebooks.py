"""Perplexity against bits a weight: even grids, NormalFloat, FP4 and k-means codebooks.

    python -m lib.bench codebooks        # about five minutes on two cores

Every linear layer of SmolLM2 but the head is rounded to nearest, with no calibration.
Bits count the overheads: fp16 scale and zero point a group; fp32 constant a block (8 +
32/256 bits with double quantization); fp16 levels of a codebook. See notebooks/05.
"""

import argparse
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lib.bench.record import Run, processor_name, record
from lib.models.evaluate import EvaluationProtocol, perplexity
from lib.models.load import load_model
from lib.models.walk import linear_layers, mapped_weights
from lib.progress import progress
from lib.quant.codebooks.codebook import decode, encode, fit_codebook
from lib.quant.codebooks.normal_float import (
    FourBit,
    dequantize_4bit,
    normal_float_levels,
    quantize_4bit,
    round_to_levels,
)
from lib.quant.uniform.grid import bits_per_weight, fake_quantize

GROUP = 64
Rounder = Callable[[Tensor], tuple[Tensor, float]]  # w -> (ŵ, bits stored for all of w)


def grid(bits: int) -> Rounder:
    """Asymmetric round-to-nearest in groups of 64 columns."""

    def rounder(w: Tensor) -> tuple[Tensor, float]:
        stored = bits_per_weight(tuple(w.shape), bits=bits, group=GROUP)
        return fake_quantize(w, bits=bits, group=GROUP), stored * w.numel()

    return rounder


def normal_float(bits: int) -> Rounder:
    """NormalFloat of any width in blocks of 64, with one fp32 constant each."""
    levels = normal_float_levels(bits)

    def rounder(w: Tensor) -> tuple[Tensor, float]:
        return round_to_levels(w, levels, block=GROUP), (bits + 32 / GROUP) * w.numel()

    return rounder


def four_bit(kind: str, *, double: bool) -> Rounder:
    """NF4 or FP4 as they are stored."""

    def rounder(w: Tensor) -> tuple[Tensor, float]:
        packed: FourBit = quantize_4bit(w, kind=kind, block=GROUP, double=double)
        return dequantize_4bit(packed), 8.0 * packed.nbytes

    return rounder


def kmeans(bits: int) -> Rounder:
    """A k-means codebook for every row."""

    def rounder(w: Tensor) -> tuple[Tensor, float]:
        book = fit_codebook(w, bits=bits, group="channel", method="kmeans")
        return decode(encode(w, book), book), book.bits_per_weight() * w.numel()

    return rounder


def methods() -> Iterator[tuple[str, int, Rounder]]:
    """Family, code bits and rounder of everything that is compared."""
    for bits in (2, 3, 4, 5, 6, 8):
        yield "even grid, group 64", bits, grid(bits)
        yield "NormalFloat, block 64", bits, normal_float(bits)
    for bits in (2, 3, 4):
        yield "k-means, a codebook a row", bits, kmeans(bits)
    yield "FP4, block 64", 4, four_bit("fp4", double=False)
    yield "NF4, double quantization", 4, four_bit("nf4", double=True)


def measure(protocol: EvaluationProtocol) -> dict:
    """Rows of family, code bits, stored bits a weight, and perplexity."""
    model, tokenizer = load_model()
    windows = protocol.windows(tokenizer)
    weights = sum(layer.weight.numel() for layer in linear_layers(model).values())
    rows = []
    for family, bits, rounder in progress(list(methods()), "codebooks"):
        stored = 0.0

        def rounded(_: str, w: Tensor, rounder: Rounder = rounder) -> Tensor:
            nonlocal stored
            w_hat, size = rounder(w)
            stored += size
            return w_hat

        with mapped_weights(model, rounded):
            loss = perplexity(model, windows)
        rows.append(
            {
                "family": family,
                "code_bits": bits,
                "bits_per_weight": stored / weights,
                "perplexity": loss,
            }
        )
    baseline = perplexity(model, windows)
    return {"weights": weights, "fp32_perplexity": baseline, "rows": rows}


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """There are none: one protocol, every method."""


@torch.inference_mode()
def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure on the processor, and record."""
    protocol = EvaluationProtocol()
    results = measure(protocol)
    print(record(run, results, protocol=str(protocol), device=processor_name()).name)
    return True
