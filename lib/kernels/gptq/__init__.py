"""GPTQ's loop over columns, a block a launch. Read `columns`, then `columns_triton`."""

from lib.kernels.gptq.columns import gptq_codes

__all__ = ["gptq_codes"]
