"""Layers that hold codes in place of weights, and the only room that picks a kernel.

Read in order: `w8a8` and `int8` (lectures 03, 04); `packed` for every other method,
with `stored` and `kernel_matrix`, the two ways in which it holds a matrix; `blocked`,
which holds weights as a CPU reads them.
"""
