"""Fewer bits a weight. Lecture 03: `linear`, `packing`, `calibrate`, `linear_int8`."""

from lib.quant.calibrate import Histogram, static_grid
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
from lib.quant.linear_int8 import QuantizedLinear, int8_matmul
from lib.quant.packing import pack, unpack

__all__ = [
    "Grid",
    "Histogram",
    "QuantizedLinear",
    "bits_per_weight",
    "dequantize",
    "fake_quantize",
    "fit_grid",
    "fit_range",
    "grid_from_range",
    "int8_matmul",
    "pack",
    "quantize",
    "search_clip",
    "static_grid",
    "unpack",
]
