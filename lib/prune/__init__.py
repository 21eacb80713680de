"""Fewer weights: which of them the output misses least, and how few bytes that leaves.

Read in order: `masks`, `magnitude`, `wanda`, `sparsegpt`, `refit`: which stay, and with
what values; `method`, what these are for a whole model; `storage`, `n_of_m`, `files`:
as bytes; `lottery`, training what is left.  Taught in notebooks/11.
Here are the names that choose a mask.
"""

import lib.prune.files  # noqa: F401 - from now on `deserialize` knows its kinds
from lib.prune.masks import kept_n_of_m, kept_per_row
from lib.prune.wanda import column_norms, wanda_score

__all__ = ["column_norms", "kept_n_of_m", "kept_per_row", "wanda_score"]
