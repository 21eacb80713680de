"""Let many copies of this process change what they share: the size of none grows.

Stock nbgrader: not tried. Here: stopped, 0.
"""

import mmap
import os
import time

shared = mmap.mmap(-1, 150 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
shared.write(b"x" * len(shared))
held = 0
reading, writing = os.pipe()
for _ in range(18):
    if not os.fork():
        for place in range(0, len(shared), mmap.PAGESIZE):
            shared[place] = 121
        os.write(writing, b"x")
        time.sleep(60)
        os._exit(0)
for _ in range(18):
    held += len(os.read(reading, 1)) * len(shared)
print(f"{held >> 20} MB")
time.sleep(3)
