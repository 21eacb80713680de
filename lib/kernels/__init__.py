"""Products and conversions on packed weights, fast on a GPU, checked on any machine."""

from lib.kernels.int4 import Int4, int4_product, pack_int4
