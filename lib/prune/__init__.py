"""Fewer weights: which of them the output misses least."""

from lib.prune.wanda import column_norms, kept_n_of_m, kept_per_row, wanda_score

__all__ = ["column_norms", "kept_n_of_m", "kept_per_row", "wanda_score"]
