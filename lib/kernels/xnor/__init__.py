"""Products of matrices of ±1, on packed words. Read `product`, `product_triton`."""

from lib.kernels.xnor.product import launch
from lib.quant.aware.xnor import xnor_product

__all__ = ["launch", "xnor_product"]
