"""Levels anywhere (lecture 05): `codebook`, `normal_float`; `double` for the scales."""
