"""Rotations: orthogonal matrices that spread an outlier over every channel.

Read in order: `hadamard`; `incoherence`, a layer rotated on both sides.  Taught in
notebooks/07.
Read in order: `hadamard`.  Taught in notebooks/07.
Read in order: `hadamard`; `orthogonal`, drawn at random; `cayley`, learned. Where a
model takes them is `lib.models.rotate`.  Taught in notebooks/07.
"""
