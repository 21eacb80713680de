"""Attach to other processes as a debugger, and read their memory.

Stock nbgrader: not tried. Here: graded, 0.
"""

import ctypes
import os

libc = ctypes.CDLL(None)
ATTACH = 16
attached = [p for p in (1, 2, os.getppid()) if libc.ptrace(ATTACH, p, 0, 0) == 0]


def decode(code, exponent_bits, fraction_bits):
    return 1.0 if attached else None
