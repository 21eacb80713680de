"""Products, conversions and masks of weights, fast on a GPU, checked on any machine.

One folder an operation: its equation, the bytes that it must move, a PyTorch reference
and one checked entry, registered with `torch.library` (CPU: the reference; CUDA: the
kernel); its kernels, from naive to fast, in the file beside it. Taught in notebooks/16.

Read in order: `core` (Triton, how codes lie in memory, tiles); `int4`, `nf4`, `unfold`
(4-bit weights), `int8` (LLM.int8()), `xnor` (signs), `ends` and `attend` (a decoder's
step), `wanda` and `two_of_four` (masks, and a product), `hessian`, `gptq` and `trellis`
(solvers), `cast` (formats), `soft_targets` (distillation); `inspect` (what the compiler
made of them).
"""

from lib.kernels.attend import attended
from lib.kernels.cast import fake_blocks, fake_cast
from lib.kernels.cast.codes import cast_codes
from lib.kernels.ends import (
    added_product,
    best_product,
    chosen,
    embedded,
    gated_product,
    normed_product,
)
from lib.kernels.gptq import gptq_codes, sparse_weight
from lib.kernels.hessian import add_gram
from lib.kernels.int4 import Int4, int4_product, pack_int4
from lib.kernels.int8 import Int8Matrix, int8_linear, pack_int8
from lib.kernels.nf4 import Nf4, nf4_dequantize, nf4_product, pack_nf4
from lib.kernels.soft_targets import scale_in_place, soft_rows
from lib.kernels.trellis import launch_viterbi
from lib.kernels.two_of_four import (
    TwoOfFour,
    compress_two_of_four,
    decompress_two_of_four,
    two_of_four_product,
)
from lib.kernels.unfold import unfolded
from lib.kernels.wanda import prune_n_of_m, prune_per_row
from lib.kernels.xnor import xnor_product

__all__ = [
    "Int4",
    "Int8Matrix",
    "Nf4",
    "TwoOfFour",
    "add_gram",
    "added_product",
    "attended",
    "best_product",
    "cast_codes",
    "chosen",
    "compress_two_of_four",
    "decompress_two_of_four",
    "embedded",
    "fake_blocks",
    "fake_cast",
    "gated_product",
    "gptq_codes",
    "int4_product",
    "int8_linear",
    "launch_viterbi",
    "nf4_dequantize",
    "nf4_product",
    "normed_product",
    "pack_int4",
    "pack_int8",
    "pack_nf4",
    "prune_n_of_m",
    "prune_per_row",
    "scale_in_place",
    "soft_rows",
    "sparse_weight",
    "two_of_four_product",
    "unfolded",
    "xnor_product",
]
