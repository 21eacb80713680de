"""Kill the parent, process 1, and everybody.

Stock nbgrader: not tried. Here: graded, 0.
"""

import contextlib
import os
import signal

for target in (os.getppid(), -1, 2, 3, *range(4, 60)):
    if target not in (0, os.getpid()):
        with contextlib.suppress(OSError):
            os.kill(target, signal.SIGKILL)
