"""Fewer bits a weight. Lecture 03: `linear`, `packing`, `calibrate`, `linear_int8`."""

from lib.quant.linear import (
    Grid,
    bits_per_weight,
    dequantize,
    fake_quantize,
    fit_grid,
    fit_range,
    grid_from_range,
    quantize,
    search_clip,
)
from lib.quant.packing import pack, unpack

__all__ = [
    "Grid",
    "bits_per_weight",
    "dequantize",
    "fake_quantize",
    "fit_grid",
    "fit_range",
    "grid_from_range",
    "pack",
    "quantize",
    "search_clip",
    "unpack",
]
