"""Fork without end.

Stock nbgrader: not tried. Here: stopped, 0.
"""

import os

while True:
    try:
        os.fork()
    except OSError:
        continue
