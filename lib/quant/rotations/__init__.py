"""Rotations: orthogonal matrices that spread an outlier over every channel.

Read in order: `hadamard`; `incoherence`, a layer rotated on both sides.  Taught in
notebooks/07.
Read in order: `hadamard`.  Taught in notebooks/07.
"""
