"""GPTQ's and SparseGPT's loops over columns, a block a launch.

Read in order: `columns`, `columns_triton`; `sparse`, `sparse_triton`.
"""

from lib.kernels.gptq.columns import gptq_codes
from lib.kernels.gptq.sparse import sparse_weight

__all__ = ["gptq_codes", "sparse_weight"]
