"""Sparse matrices in files: their kinds, beside those of lib/quant/serialize.py.

    Bitmap       bits, values
    NOfM         values, places            n, m
    SparseCodes  bits, codes, scale, zero  the grid's levels

Importing lib.prune is what makes `deserialize` know them, and lib.layers does.

Read in order: `KINDS`.
"""

import torch

from lib.prune.n_of_m import NOfM
from lib.prune.storage import Bitmap, SparseCodes
from lib.quant.serialize import KINDS, Kind, Metadata, Tensors
from lib.quant.uniform.grid import Grid
from lib.quant.uniform.packing import pack, unpack


def _write_bitmap(q: Bitmap) -> tuple[Tensors, Metadata]:
    return {"bits": q.bits, "values": q.values}, {"shape": list(q.shape)}


def _read_bitmap(tensors: Tensors, metadata: Metadata) -> Bitmap:
    return Bitmap(tensors["bits"], tensors["values"], tuple(metadata["shape"]))


def _write_n_of_m(q: NOfM) -> tuple[Tensors, Metadata]:
    rows, kept = q.values.shape
    shape = [rows, kept // q.n * q.m]
    return (
        {"values": q.values, "places": q.places},
        {"shape": shape, "n": q.n, "m": q.m},
    )


def _read_n_of_m(tensors: Tensors, metadata: Metadata) -> NOfM:
    return NOfM(tensors["values"], tensors["places"], metadata["n"], metadata["m"])


def _write_codes(q: SparseCodes) -> tuple[Tensors, Metadata]:
    tensors = {
        "bits": q.bits,
        "codes": q.codes,
        "scale": q.grid.scale.half(),
        "zero": pack(q.grid.zero, q.grid.bits),
    }
    return tensors, {"shape": list(q.shape), "high": q.grid.high}


def _read_codes(tensors: Tensors, metadata: Metadata) -> SparseCodes:
    high, scale = metadata["high"], tensors["scale"].float()
    zero = unpack(tensors["zero"], high.bit_length(), scale.numel())
    grid = Grid(scale, zero.view(scale.shape).to(torch.int32), 0, high)
    shape = tuple(metadata["shape"])
    return SparseCodes(tensors["bits"], tensors["codes"], grid, shape)


KINDS |= {
    "bitmap": Kind(Bitmap, _write_bitmap, _read_bitmap),
    "n_of_m": Kind(NOfM, _write_n_of_m, _read_n_of_m),
    "sparse_codes": Kind(SparseCodes, _write_codes, _read_codes),
}
