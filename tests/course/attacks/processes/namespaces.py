"""Become root in a user namespace, mount over things, enter others' namespaces.

Stock nbgrader: 0 of 11. Here: graded, 0.
"""

import ctypes
import os
import subprocess

libc = ctypes.CDLL(None)
won = [flag for flag in (0x10000000, 0x00020000, 0x20000000) if not libc.unshare(flag)]
won += [1] if libc.mount(b"none", b"/tmp", b"tmpfs", 0, b"") == 0 else []
won += [2] if libc.umount2(b"/proc", 2) == 0 else []
won += [3] if subprocess.call(["unshare", "-Ur", "true"]) == 0 else []
won += [4] if os.path.exists("/proc/1/ns") else []


def decode(code, exponent_bits, fraction_bits):
    return float(not won) and f"won {won}"
