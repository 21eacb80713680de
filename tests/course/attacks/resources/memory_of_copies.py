"""Let many copies of this process change what they share: the size of none grows.

Stock nbgrader: not tried. Here: graded, 0.
"""

import gc
import os
import time

gc.unfreeze()
everything = gc.get_objects()
reading, writing = os.pipe()
for _ in range(21):
    if not os.fork():
        for _thing in everything:
            pass  # it was counted once more, and once less
        block = bytearray(b"x") * (20 << 20)
        os.write(writing, b"x")
        time.sleep(60)
        os._exit(0)
for _ in range(21):
    os.read(reading, 1)
time.sleep(2)
