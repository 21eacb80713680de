"""What a homework on kernels needs around the kernels: fences, a reader, a compiler.

`interpreted` starts Triton's interpreter, with `fences` that name a wrong address;
`isolated` takes a function as its own cell defines it, and lets only kernels compute
(`reading`); `examine` says what the compiler makes of a kernel's text (lib/hopper.py).
"""

from lib.exercises.kernels.fences import interpreted
from lib.exercises.kernels.isolated import examine, isolated, only_kernels

__all__ = ["examine", "interpreted", "isolated", "only_kernels"]
