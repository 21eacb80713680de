"""Hide memory in what sockets hold that nobody reads, most in calls never answered.

Stock nbgrader: not tried. Here: graded, 0.
"""

import contextlib
import socket
import time

held, kept = 0, []
with contextlib.suppress(OSError):
    while held < 1200 << 20:
        server = socket.socket(socket.AF_UNIX)
        server.bind(f"\0{len(kept)}")
        server.listen(4000)
        kept.append(server)
        for _ in range(4000):
            caller = socket.socket(socket.AF_UNIX)
            with contextlib.suppress(OSError):
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            caller.connect(server.getsockname())
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    held += caller.send(bytes(1 << 15))
            caller.close()
print(f"{held >> 20} MB")
time.sleep(2)
