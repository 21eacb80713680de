"""Memory of processes as the kernel counts it, from outside.

    grown = Σ over processes of max(anonymous − given, 0) + shared

Read in order: `Watch`, `grown`, `pages`.
"""

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

WATCH_S = 0.03  # between two looks at what a submission uses


class Watch:
    """Looks at a submission's memory from outside, and cuts its leash at the limit.

    A limit inside is a process's own (RLIMIT_DATA counts what was asked for, touched or
    not, but a process at a time): this one counts them all together.
    """

    def __init__(
        self, used: Callable[[], int], limit: int, leash: socket.socket
    ) -> None:
        self.used, self.limit, self.leash = used, limit, leash
        self.reason: str | None = None
        self.over = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        """Until the submission is over, compare the memory it uses with the limit."""
        while not self.over.wait(WATCH_S):
            with contextlib.suppress(psutil.Error):
                if self.used() > self.limit:
                    many = f"{self.limit / 2**30:.3g} GB"
                    self.reason = f"it used more than {many} of memory"
                    with contextlib.suppress(OSError):
                        self.leash.shutdown(socket.SHUT_WR)  # its other way stays open
                    return


def grown(family: list[int], given: int) -> int:
    """Bytes of memory that processes have beyond the `given` that a fork shares."""
    return sum(max(own - given, 0) + shared for own, shared in map(pages, family))


def pages(pid: int) -> tuple[int, int]:
    """Bytes of a process that are anonymous, and that are shared memory."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it is gone
        return 0, 0
    found = dict(re.findall(r"^Rss(Anon|Shmem):\s+(\d+) kB$", status, re.MULTILINE))
    return int(found.get("Anon", 0)) << 10, int(found.get("Shmem", 0)) << 10
