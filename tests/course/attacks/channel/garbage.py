"""Write random bytes to every descriptor.

Stock nbgrader: has no channel; its connection file is readable.
Here: stopped, 10 beside honest answers.
"""

import contextlib
import os


def number_line(exponent_bits, fraction_bits, specials):
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, os.urandom(4096))
