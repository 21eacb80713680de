"""Additive quantization: a group of weights is a sum of entries of codebooks (AQLM).

Read in order: `kmeans`, `matrix`, `beam`, `books`, `aqlm`.
"""
