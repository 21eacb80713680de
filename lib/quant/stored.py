"""A quantized matrix as named tensors and a few words, and back: what files hold.

    Grouped        codes (b bits, packed)   scale (fp16)   zero (packed)   [order]
    SparseGrouped  codes   scale, zero: codes, low, step   starts, columns, outliers
    FourBit        packed   constants (fp32, or 8 bits and a second level)

Nothing is kept that dequantization does not need, and `matrix(unstored(*stored(q)))`
equals `matrix(q)` bit for bit.

Read in order: `Quantized`, `stored`, `unstored`.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lib.quant.double import DoubleConstants
from lib.quant.grouped import Grouped
from lib.quant.linear import Grid
from lib.quant.normal_float import FourBit, dequantize_4bit
from lib.quant.packing import pack, unpack
from lib.quant.spqr import Bilevel, SparseGrouped

Quantized = Grouped | SparseGrouped | FourBit
Words = dict[str, Any]  # what JSON holds


def matrix(quantized: Quantized) -> Float[Tensor, "rows cols"]:
    """ŵ, whatever it is made of."""
    if isinstance(quantized, FourBit):
        return dequantize_4bit(quantized)
    return quantized.dequantize()


def stored(quantized: Quantized) -> tuple[dict[str, Tensor], Words]:
    """The tensors to keep, packed, and the words that are needed to read them."""
    if isinstance(quantized, Grouped):
        return _store_grouped(quantized)
    if isinstance(quantized, SparseGrouped):
        return _store_sparse(quantized)
    return _store_four_bit(quantized)


def unstored(tensors: dict[str, Tensor], words: Words) -> Quantized:
    """What `stored` took apart; ValueError for a kind that it never wrote."""
    readers = {"grouped": _grouped, "sparse": _sparse, "four_bit": _four_bit}
    if words.get("kind") not in readers:
        raise ValueError(f"kind={words.get('kind')!r} is not one of {sorted(readers)}")
    return readers[words["kind"]](tensors, words)


def _store_grouped(q: Grouped) -> tuple[dict[str, Tensor], Words]:
    grid = q.grid
    tensors = {
        "codes": pack(q.codes.to(torch.int16) - grid.low, grid.bits),
        "scale": grid.scale.half(),
    }
    if grid.low == 0:  # symmetric grids have their zero at 0
        tensors["zero"] = pack(grid.zero, grid.bits)
    words = {
        "kind": "grouped",
        "shape": list(q.codes.shape),
        "low": grid.low,
        "high": grid.high,
    }
    return tensors | _store_order(q.order), words


def _grouped(tensors: dict[str, Tensor], words: Words) -> Grouped:
    (rows, cols), low, high = words["shape"], words["low"], words["high"]
    bits = (high - low).bit_length()
    scale = tensors["scale"].float()
    codes = unpack(tensors["codes"], bits, rows * cols).view(rows, cols)
    if low == 0:
        zero = unpack(tensors["zero"], bits, scale.numel()).view(scale.shape).int()
    else:
        codes = (codes.to(torch.int16) + low).to(torch.int8)
        zero = torch.zeros_like(scale, dtype=torch.int32)
    return Grouped(codes, Grid(scale, zero, low, high), _order(tensors))


def _store_sparse(q: SparseGrouped) -> tuple[dict[str, Tensor], Words]:
    tensors = {
        "codes": pack(q.codes, q.bits),
        "starts": q.starts.int(),
        "columns": q.columns.to(torch.uint16),
        "outliers": q.outliers.half(),
    }
    for name in ("scale", "zero"):
        level = getattr(q, name)
        tensors[f"{name}_codes"] = pack(level.codes, level.bits)
        tensors[f"{name}_low"] = level.low.half()
        tensors[f"{name}_step"] = level.step.half()
    words = {
        "kind": "sparse",
        "shape": list(q.codes.shape),
        "groups": q.scale.codes.shape[1],
        "bits": q.bits,
        "constant_bits": q.scale.bits,
    }
    return tensors | _store_order(q.order), words


def _sparse(tensors: dict[str, Tensor], words: Words) -> SparseGrouped:
    (rows, cols), groups = words["shape"], words["groups"]

    def level(name: str) -> Bilevel:
        bits = words["constant_bits"]
        codes = unpack(tensors[f"{name}_codes"], bits, rows * groups)
        low, step = tensors[f"{name}_low"].float(), tensors[f"{name}_step"].float()
        return Bilevel(codes.view(rows, groups), low, step, bits)

    return SparseGrouped(
        codes=unpack(tensors["codes"], words["bits"], rows * cols).view(rows, cols),
        scale=level("scale"),
        zero=level("zero"),
        bits=words["bits"],
        starts=tensors["starts"].long(),
        columns=tensors["columns"].long(),
        outliers=tensors["outliers"].float(),
        order=_order(tensors),
    )


def _store_four_bit(q: FourBit) -> tuple[dict[str, Tensor], Words]:
    words = {
        "kind": "four_bit",
        "shape": list(q.shape),
        "levels": q.kind,
        "block": q.block,
        "dtype": str(q.dtype).removeprefix("torch."),
    }
    if not isinstance(q.constants, DoubleConstants):
        return {"packed": q.packed, "constants": q.constants}, words
    double = q.constants
    tensors = {
        "packed": q.packed,
        "constants": double.codes,
        "nested": double.constants,
        "mean": double.mean,
    }
    return tensors, words | {"nested_block": double.block}


def _four_bit(tensors: dict[str, Tensor], words: Words) -> FourBit:
    constants = tensors["constants"]
    if "nested_block" in words:
        constants = DoubleConstants(
            constants, tensors["nested"], tensors["mean"], words["nested_block"]
        )
    return FourBit(
        packed=tensors["packed"],
        constants=constants,
        kind=words["levels"],
        block=words["block"],
        shape=torch.Size(words["shape"]),
        dtype=getattr(torch, words["dtype"]),
    )


def _store_order(order: Tensor | None) -> dict[str, Tensor]:
    return {} if order is None else {"order": order.to(torch.uint16)}


def _order(tensors: dict[str, Tensor]) -> Tensor | None:
    return tensors["order"].long() if "order" in tensors else None
