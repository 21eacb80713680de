"""Hands the step out as fp16, and not in the dtype of w."""

LOSES = ["test_grid"]
PATCHES = {"find_grid": {"scale.half().to(w.dtype), zero": "scale.half(), zero"}}
