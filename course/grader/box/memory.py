"""Memory of processes as the kernel counts it, from outside.

    used = Σ over processes of (their share of pages + page tables) + sockets

A page that forks share is counted once, whoever started them and whatever they have
become since: the kernel divides it among them (its "proportional set size"). To ask for
that takes 10 ms a process. So at first each page counts for everyone who sees it, which
is never less; the shares are asked for only where that sum is above the limit.

Read in order: `Watch`, `exceeds`, `at_most`, `shares`, `sockets`.
"""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

WATCH_S = 0.03  # between two looks at what a submission uses, at least
PAGES = r"^(?:RssAnon|RssShmem|VmSwap|VmPTE):\s+(\d+) kB$"
SHARES = r"^(?:Pss_Anon|Pss_Shmem|SwapPss):\s+(\d+) kB$"
TABLES = r"^VmPTE:\s+(\d+) kB$"
FIRST = re.compile(r"^NSpid:.*\t1$", re.MULTILINE)  # of the processes of its world
BUFFER = Path("/proc/sys/net/core/wmem_default")  # what nobody has read of a socket


class Watch:
    """Looks at a submission's memory from outside, and cuts its leash at the limit.

    A limit inside is a process's own (RLIMIT_DATA counts what was asked for, touched or
    not, but a process at a time): this one counts them all together.
    """

    def __init__(
        self, exceeds: Callable[[int], bool], limit: int, leash: socket.socket
    ) -> None:
        self.exceeds, self.limit, self.leash = exceeds, limit, leash
        self.reason: str | None = None
        self.over = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        """Until the submission is over, compare the memory it uses with the limit."""
        took = 0.0
        while not self.over.wait(max(WATCH_S, took)):  # half of a core, at worst
            began = time.monotonic()
            if self.exceeds(self.limit):
                self.reason = over(self.limit)
                with contextlib.suppress(OSError):
                    self.leash.shutdown(socket.SHUT_WR)  # its other way stays open
                return
            took = time.monotonic() - began


def over(limit: int) -> str:
    """A limit of memory, in words."""
    return f"it used more than {limit / 2**30:.3g} GB of memory"


def exceeds(family: list[int], limit: int) -> bool:
    """Whether processes use more than `limit` bytes of memory."""
    most = {pid: at_most(pid) for pid in family}
    return sum(most.values()) > limit and shares(most) > limit


def at_most(pid: int) -> int:
    """Bytes of memory that a process sees, whoever else sees them."""
    return kilobytes(PAGES, status(pid)) + sockets(pid)


def shares(most: dict[int, int]) -> int:
    """Bytes of memory of processes, with what they share counted once.

    One that is gone by now, or may not be asked (by root without CAP_SYS_PTRACE, in a
    container), counts as `most` says.
    """
    total = 0
    for pid, otherwise in most.items():
        try:
            told = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            total += otherwise
        else:
            total += kilobytes(SHARES, told) + kilobytes(TABLES, status(pid))
            total += sockets(pid)
    return total


def sockets(pid: int) -> int:
    """Bytes that the sockets of a world may hold, asked of its first process.

    A socket takes a message as long as its buffer is not full: so twice the buffer.
    """
    if not FIRST.search(status(pid)):
        return 0
    try:
        there = Path(f"/proc/{pid}/net/unix").read_bytes().count(b"\n") - 1
    except OSError:  # it is gone
        return 0
    return there * 2 * int(BUFFER.read_text())


def status(pid: int) -> str:
    """What the kernel says of a process; nothing of one that is gone."""
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""


def kilobytes(pattern: str, told: str) -> int:
    """The sum in bytes of what a kernel's table says in kB."""
    return sum(map(int, re.findall(pattern, told, re.MULTILINE))) << 10
