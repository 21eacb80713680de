"""Evenly spaced levels (lecture 03): `grid`, `packing`, `grouped`, `calibrate`."""
