"""Rotations: orthogonal matrices that spread an outlier over every channel.

Read in order: `hadamard`.  Taught in notebooks/07.
"""
