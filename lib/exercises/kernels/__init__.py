"""What a homework on kernels needs around the kernels: fences, a reader, a compiler.

`interpreted` starts Triton's interpreter, with `fences` that name a wrong address.
`isolated` takes a function as its own cell defines it (`reading`), runs what was
rebuilt of it (`rebuilding`), and lets only kernels compute. `examine` says what the
compiler makes of a kernel's text (lib/hopper.py).
"""

from lib.exercises.kernels.interpreter import interpreted
from lib.exercises.kernels.isolated import examine, isolated, only_kernels

__all__ = ["examine", "interpreted", "isolated", "only_kernels"]
