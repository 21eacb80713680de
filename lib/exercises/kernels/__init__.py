"""What a homework on kernels needs around the kernels: fences, a reader, a compiler.

`interpreted` starts Triton's interpreter, with `fences` that name a wrong address;
`alone` takes a function as its own cell defines it, and lets only kernels compute
(`reading`); `examine` says what the compiler makes of a kernel's text (lib/hopper.py).
"""

from lib.exercises.kernels.alone import alone, examine, only_kernels
from lib.exercises.kernels.fences import interpreted

__all__ = ["alone", "examine", "interpreted", "only_kernels"]
