"""Fewer bits a weight: functions over tensors, which know no model and no layer.

Read in order: `uniform` (lecture 03), `outliers` (04), `codebooks` (05), `solvers`
(06), `rotations` (07), `aware` (08), each a folder; `hessian`, what calibrates them;
`method`, what a method is; `serialize` and `gguf`, as bytes.
Here are the names of lecture 03.
"""

from lib.quant.uniform.calibrate import Histogram, static_grid
from lib.quant.uniform.grid import (
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
from lib.quant.uniform.integer_matmul import int8_matmul
from lib.quant.uniform.packing import pack, unpack

__all__ = [
    "Grid",
    "Histogram",
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
