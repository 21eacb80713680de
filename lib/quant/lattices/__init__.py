"""Lattices: eight weights rounded as one vector (QuIP#).

Read in order: `nearest` and `moment`, what a lattice is worth; `e8p`, its points as
codes; `codes`, for 2 to 4 bits; `coded`, a matrix of them.  Taught in notebooks/07.
"""
