"""Take memory in many small programs, none of which is a copy of this one.

Stock nbgrader: not tried. Here: graded, 0.
"""

import subprocess
import sys
import time

BODY = "import time\nblock = b'x' * (120 << 20)\nprint(len(block), flush=True)"
held = 0
for _ in range(18):
    program = [sys.executable, "-S", "-c", f"{BODY}\ntime.sleep(60)"]
    started = subprocess.Popen(program, stdout=subprocess.PIPE)
    held += int(started.stdout.readline())
print(f"{held >> 20} MB")
time.sleep(3)
