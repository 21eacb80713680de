"""Write to the descriptors of stdout and stderr without end.

Stock nbgrader: not tried. Here: graded, 0.
"""

import os

while True:
    os.write(1, b"x" * (1 << 16))
    os.write(2, b"x" * (1 << 16))
