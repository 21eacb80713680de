"""Training in few bits (lecture 09): which number is rounded to what, and when.

In reading order: `matmul` (one linear layer, three products, a quantizer for each
operand), `mixed_precision` (loss scaling, master weights, stochastic rounding of
weights), `fp8`, `accumulate` (sums in few bits), `nvfp4`.
"""
