"""Quantization-aware training: quantizers that a gradient passes through.

Read in order: `ste` and `lsq`, even grids that stay or learn; `binary`, `shift_norm`
and `xnor`, one bit; `ternary` and `trits`, three levels; `tokens`, inputs and caches.
What trains a model with them is `lib.train.aware`. Taught in notebooks/08.
"""
