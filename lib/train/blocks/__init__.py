"""Training what rounding left continuous, a block of the model at a time.

Read in order: `tuned`, a layer whose constants learn; `blockwise`, the walk; `codes`,
PV-Tuning's step for the codes themselves.  Taught in notebooks/07.
"""
