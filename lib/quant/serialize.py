"""A quantized matrix as named tensors and metadata, and back: what files hold.

    Grouped        codes (b bits, packed)   scale (fp16)   zero (packed)   [order]
    SparseGrouped  codes   scale, zero: codes, low, step   starts, columns, outliers
    FourBit        packed   scales (fp32, or 8 bits and a second level)
    Ternary        packed (five trits a byte)   scale (fp16)
    Coded          packed (eight weights in b bytes)   scale (fp32)   [order]
    Incoherent     the inner matrix's tensors   left, right: signs (a bit, or fp16)
    TrellisMatrix  codes (k bits, packed)   scale (fp16)
    Additive       codes (B bits, packed)   books, scale (fp16)

Nothing is kept that dequantization does not need, and `deserialize(*serialize(q))`
dequantizes to what q does, bit for bit. A new kind of matrix adds a line to `KINDS`.

Read in order: `serialize`, `deserialize`, `KINDS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lib.quant.additive.matrix import Additive
from lib.quant.aware.ternary import Ternary
from lib.quant.codebooks.double import DoubleScales
from lib.quant.codebooks.normal_float import FourBit
from lib.quant.lattices.coded import Coded
from lib.quant.lattices.codes import E8Code, ScalarCode
from lib.quant.method import Quantized
from lib.quant.rotations.incoherence import Incoherent, SignedHadamard
from lib.quant.solvers.spqr import Bilevel, SparseGrouped
from lib.quant.trellis.bitshift import Trellis
from lib.quant.trellis.matrix import TILE, TrellisMatrix
from lib.quant.uniform.grid import Grid
from lib.quant.uniform.grouped import Grouped, index_dtype
from lib.quant.uniform.packing import pack, unpack

Tensors = dict[str, Tensor]
Metadata = dict[str, Any]  # what JSON holds


def serialize(quantized: Quantized) -> tuple[Tensors, Metadata]:
    """The tensors to keep, packed, and the metadata that is needed to read them.

    ValueError for a matrix of no kind in `KINDS`.
    """
    for name, kind in KINDS.items():
        if isinstance(quantized, kind.of):
            tensors, metadata = kind.write(quantized)
            return tensors, {"kind": name} | metadata
    raise ValueError(f"no kind of file holds a {type(quantized).__name__}")


def deserialize(tensors: Tensors, metadata: Metadata) -> Quantized:
    """What `serialize` took apart.

    ValueError for a kind that it never wrote, and where a part is missing.
    """
    if (name := metadata.get("kind")) not in KINDS:
        raise ValueError(f"kind={name!r} is not one of {sorted(KINDS)}")
    try:
        return KINDS[name].read(tensors, metadata)
    except KeyError as error:
        raise ValueError(f"a {name} matrix lacks its {error}") from error


def _write_grouped(q: Grouped) -> tuple[Tensors, Metadata]:
    grid = q.grid
    tensors = {
        "codes": pack(q.codes.to(torch.int16) - grid.low, grid.bits),
        "scale": grid.scale.half(),
    }
    if grid.low == 0:  # symmetric grids have their zero at 0
        tensors["zero"] = pack(grid.zero, grid.bits)
    metadata = {
        "shape": list(q.codes.shape),
        "low": grid.low,
        "high": grid.high,
    }
    return tensors | _write_order(q.order), metadata


def _read_grouped(tensors: Tensors, metadata: Metadata) -> Grouped:
    (rows, cols), low, high = metadata["shape"], metadata["low"], metadata["high"]
    bits = (high - low).bit_length()
    scale = tensors["scale"].float()
    codes = unpack(tensors["codes"], bits, rows * cols).view(rows, cols)
    if low == 0:
        zero = unpack(tensors["zero"], bits, scale.numel()).view(scale.shape).int()
    else:
        codes = (codes.to(torch.int16) + low).to(torch.int8)
        zero = torch.zeros_like(scale, dtype=torch.int32)
    return Grouped(codes, Grid(scale, zero, low, high), _read_order(tensors))


def _write_sparse(q: SparseGrouped) -> tuple[Tensors, Metadata]:
    tensors = {
        "codes": pack(q.codes, q.bits),
        "starts": q.starts.int(),
        "columns": q.columns.to(index_dtype(q.codes.shape[1])),
        "outliers": q.outliers.half(),
    }
    for name in ("scale", "zero"):
        level = getattr(q, name)
        tensors[f"{name}_codes"] = pack(level.codes, level.bits)
        tensors[f"{name}_low"] = level.low.half()
        tensors[f"{name}_step"] = level.step.half()
    metadata = {
        "shape": list(q.codes.shape),
        "groups": q.scale.codes.shape[1],
        "bits": q.bits,
        "constant_bits": q.scale.bits,
    }
    return tensors | _write_order(q.order), metadata


def _read_sparse(tensors: Tensors, metadata: Metadata) -> SparseGrouped:
    (rows, cols), groups = metadata["shape"], metadata["groups"]

    def level(name: str) -> Bilevel:
        bits = metadata["constant_bits"]
        codes = unpack(tensors[f"{name}_codes"], bits, rows * groups)
        low, step = tensors[f"{name}_low"].float(), tensors[f"{name}_step"].float()
        return Bilevel(codes.view(rows, groups), low, step, bits)

    return SparseGrouped(
        codes=unpack(tensors["codes"], metadata["bits"], rows * cols).view(rows, cols),
        scale=level("scale"),
        zero=level("zero"),
        bits=metadata["bits"],
        starts=tensors["starts"].long(),
        columns=tensors["columns"].long(),
        outliers=tensors["outliers"].float(),
        order=_read_order(tensors),
    )


def _write_four_bit(q: FourBit) -> tuple[Tensors, Metadata]:
    metadata = {
        "shape": list(q.shape),
        "levels": q.kind,
        "block": q.block,
        "dtype": str(q.dtype).removeprefix("torch."),
    }
    if not isinstance(q.scales, DoubleScales):
        return {"packed": q.packed, "scales": q.scales}, metadata
    double = q.scales
    tensors = {
        "packed": q.packed,
        "scales": double.codes,
        "nested": double.scales,
        "mean": double.mean,
    }
    return tensors, metadata | {"nested_block": double.block}


def _read_four_bit(tensors: Tensors, metadata: Metadata) -> FourBit:
    scales = tensors["scales"]
    if "nested_block" in metadata:
        scales = DoubleScales(
            scales, tensors["nested"], tensors["mean"], metadata["nested_block"]
        )
    return FourBit(
        packed=tensors["packed"],
        scales=scales,
        kind=metadata["levels"],
        block=metadata["block"],
        shape=torch.Size(metadata["shape"]),
        dtype=getattr(torch, metadata["dtype"]),
    )


def _write_ternary(q: Ternary) -> tuple[Tensors, Metadata]:
    shape = [len(q.packed), q.cols]
    return {"packed": q.packed, "scale": q.scale.half()}, {"shape": shape}


def _read_ternary(tensors: Tensors, metadata: Metadata) -> Ternary:
    return Ternary(tensors["packed"], tensors["scale"], metadata["shape"][1])


CODES = {"e8": E8Code, "scalar": ScalarCode}


def _write_coded(q: Coded) -> tuple[Tensors, Metadata]:
    code = next(name for name, of in CODES.items() if type(q.code) is of)
    metadata = {"shape": list(q.shape), "code": code, "bits": q.code.bits}
    tensors = {"packed": q.packed, "scale": q.scale.float()}
    return tensors | _write_order(q.order), metadata


def _read_coded(tensors: Tensors, metadata: Metadata) -> Coded:
    code = CODES[metadata["code"]](metadata["bits"])
    shape, order = tuple(metadata["shape"]), _read_order(tensors)
    return Coded(tensors["packed"], tensors["scale"], code, shape, order)


INNER = "inner_"  # before the names of the tensors of a matrix within a matrix


def _write_incoherent(q: Incoherent) -> tuple[Tensors, Metadata]:
    tensors, inner = serialize(q.inner)
    tensors = {INNER + name: tensor for name, tensor in tensors.items()}
    for side in ("left", "right"):
        rotation = getattr(q, side)
        signs, plain = rotation.signs, rotation.bits == len(rotation.signs)
        tensors[side] = pack((signs < 0).byte(), 1) if plain else signs.half()
    return tensors, {"shape": inner["shape"], "inner": inner}


def _read_incoherent(tensors: Tensors, metadata: Metadata) -> Incoherent:
    own = {k.removeprefix(INNER): t for k, t in tensors.items() if k.startswith(INNER)}
    left, right = (
        _read_signs(tensors[side], size)
        for side, size in zip(("left", "right"), metadata["shape"], strict=True)
    )
    return Incoherent(deserialize(own, metadata["inner"]), left, right)


def _read_signs(stored: Tensor, size: int) -> SignedHadamard:
    if stored.is_floating_point():
        return SignedHadamard(stored.float())
    return SignedHadamard(1.0 - 2.0 * unpack(stored, 1, size))


def _write_trellis(q: TrellisMatrix) -> tuple[Tensors, Metadata]:
    down, across, _ = q.codes.shape
    metadata = {
        "shape": [down * TILE, across * TILE],
        "state_bits": q.trellis.state_bits,
        "bits": q.trellis.bits,
        "levels": q.kind,
    }
    tensors = {"codes": pack(q.codes, q.trellis.bits), "scale": q.scale.half()}
    return tensors, metadata


def _read_trellis(tensors: Tensors, metadata: Metadata) -> TrellisMatrix:
    rows, cols = metadata["shape"]
    trellis = Trellis(metadata["state_bits"], metadata["bits"])
    codes = unpack(tensors["codes"], trellis.bits, rows * cols)
    codes = codes.view(rows // TILE, cols // TILE, TILE * TILE)
    return TrellisMatrix(codes, tensors["scale"], trellis, metadata["levels"])


def _write_additive(q: Additive) -> tuple[Tensors, Metadata]:
    rows, groups, _ = q.codes.shape
    tensors = {"books": q.books.half(), "scale": q.scale.half()}
    for name, shift in _bytes_of(q.code_bits):  # a code beyond 8 bits, in two parts
        part = q.codes.int() >> shift & 255
        tensors[name] = pack(part, min(8, q.code_bits - shift))
    return tensors, {"shape": [rows, groups * q.books.shape[2]]}


def _read_additive(tensors: Tensors, metadata: Metadata) -> Additive:
    (rows, cols), books = metadata["shape"], tensors["books"]
    count, entries, d = books.shape
    bits = (entries - 1).bit_length()
    codes = torch.zeros(rows, cols // d, count, dtype=torch.int32, device=books.device)
    for name, shift in _bytes_of(bits):
        part = unpack(tensors[name], min(8, bits - shift), codes.numel())
        codes |= part.view(codes.shape).int() << shift
    kind = torch.uint8 if bits <= 8 else torch.int32
    return Additive(codes.to(kind), books, tensors["scale"])


def _bytes_of(bits: int) -> list[tuple[str, int]]:
    return [("codes", 0), ("high_codes", 8)][: 1 + (bits > 8)]


def _write_order(order: Tensor | None) -> Tensors:
    return {} if order is None else {"order": order.to(index_dtype(len(order)))}


def _read_order(tensors: Tensors) -> Tensor | None:
    return tensors["order"].long() if "order" in tensors else None


@dataclass(frozen=True)
class Kind:
    """How matrices of a class are written, and read again."""

    of: type
    write: Callable[[Any], tuple[Tensors, Metadata]]
    read: Callable[[Tensors, Metadata], Quantized]


KINDS = {
    "grouped": Kind(Grouped, _write_grouped, _read_grouped),
    "sparse": Kind(SparseGrouped, _write_sparse, _read_sparse),
    "four_bit": Kind(FourBit, _write_four_bit, _read_four_bit),
    "ternary": Kind(Ternary, _write_ternary, _read_ternary),
    "coded": Kind(Coded, _write_coded, _read_coded),
    "incoherent": Kind(Incoherent, _write_incoherent, _read_incoherent),
    "trellis": Kind(TrellisMatrix, _write_trellis, _read_trellis),
    "additive": Kind(Additive, _write_additive, _read_additive),
}
