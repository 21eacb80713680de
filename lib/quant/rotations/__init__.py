"""Rotations: orthogonal matrices that spread an outlier over every channel.

Read in order: `hadamard`; `orthogonal`, drawn at random; `cayley`, learned;
`incoherence`, a layer rotated on both sides. Where a model takes them is
`lib.models.rotate`.  Taught in notebooks/07.
"""
