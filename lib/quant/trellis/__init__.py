"""Trellis-coded quantization: k bits a weight, each of 2^L levels (QTIP).

Read in order: `bitshift`, `node_values`, `viterbi`, `matrix`.
"""
