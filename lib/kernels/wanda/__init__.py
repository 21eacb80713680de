"""Wanda's masks: N of M neighbours, or the best of a row.

Read in order: `masks`; `runs_triton` (N of M), `rows_triton` (a whole row).
"""

from lib.kernels.wanda.masks import prune_n_of_m, prune_per_row

__all__ = ["prune_n_of_m", "prune_per_row"]
