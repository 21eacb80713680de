"""Use more and more memory, in several processes.

Stock nbgrader: not tried. Here: graded, 0.
"""

import os

for _ in range(3):
    if os.fork() == 0:
        break
kept = []
while True:
    kept.append(bytearray(os.urandom(1 << 20)) * 50)
