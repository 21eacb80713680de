"""LLM compression, written from scratch: readable first, then fast.

Read a folder beside its lecture: `formats` (02), `quant` (03 to 08), `cost` (01).
An algorithm is a function over tensors; only `lib.models` knows what a model is.
"""
