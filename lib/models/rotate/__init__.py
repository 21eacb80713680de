"""Rotate a model's channels, so that no channel is an outlier; it computes the same.

Read in order: `fold` (untie the head, fold the norms), `turn` (R1, R2 and R4, in the
weights), `online` (R3, R4 and rounding, while the model runs), `method` (as a step
before any method of quantization), `learn` (rotations by gradient descent).
Taught in notebooks/07.
"""
