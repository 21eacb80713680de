"""Touch a byte and get a huge page, of which all but a small one is then given back.

Stock nbgrader: not tried. Here: graded, 0.
"""

import contextlib
import ctypes
import mmap
import os

HUGE = 2 << 20


def decode(code, exponent_bits, fraction_bits):
    libc, huge = ctypes.CDLL(None), 0
    libc.prctl(41, 0, 0, 0, 0)  # PR_SET_THP_DISABLE, back to what it was
    for _ in range(20):
        pages = mmap.mmap(-1, 2 * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):  # this kernel has none
            pages.madvise(mmap.MADV_HUGEPAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
        start += -start % HUGE
        ctypes.memset(start, 1, 1)
        there = ctypes.create_string_buffer(512)
        assert not libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(HUGE), there)
        pages.madvise(mmap.MADV_DONTNEED)
        huge += sum(there.raw) > 1
    if huge:
        os.abort()
