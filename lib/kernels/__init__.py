"""Products and conversions on packed weights, fast on a GPU, checked on any machine.

One file an operation: its equation, the bytes that it must move, a PyTorch reference
and one checked entry, registered with `torch.library` (CPU: the reference; CUDA: the
kernel); its kernels, from naive to fast, in the file beside it. Taught in notebooks/16.

Read in order: `planes` (how codes lie in memory), `int4` and `int4_triton`, `nf4` and
`nf4_triton`, `nf4_dequantize`; `cast` and `cast_triton`, `philox` (coins), `codes`;
`tiles` (which tile for which size); `compiled` (what the compiler made of them).
"""

from lib.kernels.cast import fake_blocks, fake_cast
from lib.kernels.codes import cast_codes
from lib.kernels.int4 import Int4, int4_product, pack_int4
from lib.kernels.nf4 import Nf4, nf4_product, pack_nf4
from lib.kernels.nf4_dequantize import nf4_dequantize

__all__ = [
    "Int4",
    "Nf4",
    "cast_codes",
    "fake_blocks",
    "fake_cast",
    "int4_product",
    "nf4_dequantize",
    "nf4_product",
    "pack_int4",
    "pack_nf4",
]
