"""A row's distillation loss, and its gradient in place of the student's logits.

Read `rows`, then `rows_triton`.
"""

from lib.kernels.soft_targets.rows import scale_in_place, soft_rows

__all__ = ["scale_in_place", "soft_rows"]
