"""Start 200 processes that wait.

Stock nbgrader: not tried. Here: graded, 0.
"""

import os

for _ in range(200):
    try:
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "1000"])
    except OSError:
        break
