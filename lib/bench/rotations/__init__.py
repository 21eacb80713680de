"""Rotated models in few bits: the table, learned rotations, and why rounding fails."""
