"""Rounding that repairs its errors (lecture 06): `obq`, `gptq`, `spqr`, `awq`.

All of them read the second moment of a layer's inputs: begin with lib/quant/hessian.py.
"""
