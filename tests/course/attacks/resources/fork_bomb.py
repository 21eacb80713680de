"""Fork without end.

Stock nbgrader: not tried. Here: graded, 0.
"""

import os

while True:
    try:
        os.fork()
    except OSError:
        continue
