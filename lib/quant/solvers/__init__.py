"""Rounding that repairs its errors (lecture 06): `obq`, `gptq`, `spqr`, `awq`; and
`block_rounding` (lecture 07), GPTQ for vectors.

All of them read the second moment of a layer's inputs: begin with lib/quant/hessian.py.
"""
