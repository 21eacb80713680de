"""Processes as the kernel counts them, from outside: who descends, how long each ran.

    processor = Σ of what each process ran, and what its ended children ran
    in line   = Σ over threads of the time that each stood ready, and another one ran

Both only grow. What has ended keeps what it was last seen with; what ended unseen is in
its parent's count, unless the parent ignored its end: so this is a lower bound.

Read in order: `descendants`, `Usage.read`, `busy`.
Source: proc(5), and Linux's Documentation/scheduler/sched-stats.rst for schedstat.
"""

import contextlib
import os
from pathlib import Path

import psutil

TICK = os.sysconf("SC_CLK_TCK")  # in which /proc/PID/stat counts
NANO = 1e-9
_clocks: dict[int, int] = {}  # open files, by thread
TIMES, START = slice(11, 15), 19  # words of stat, behind the program's name


def descendants(pid: int) -> list[int]:
    """The processes below `pid`, ancestors first."""
    if not Path(f"/proc/{pid}/task/{pid}/children").exists():  # a kernel without it
        with contextlib.suppress(psutil.Error):
            return [p.pid for p in psutil.Process(pid).children(recursive=True)]
        return []
    found = [pid]
    for parent in found:  # it grows
        for thread in threads(parent):
            found += map(int, words(f"/proc/{parent}/task/{thread}/children"))
    return found[1:]


def threads(pid: int) -> list[int]:
    """The threads of a process; none where it is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def words(path: str) -> list[str]:
    """The words of a file in /proc; none where its process is gone."""
    try:
        return Path(path).read_text(errors="replace").split()
    except OSError:
        return []


def stat(path: str) -> list[str]:
    """The words of a stat file behind the program's name, which may hold anything."""
    try:
        return Path(path).read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def busy(thread: int) -> float:
    """Seconds in which a thread of this process ran or stood in line; 0 if unknown.

    It is asked twice a call, so the file stays open: a look costs a tenth.
    """
    try:
        if thread not in _clocks:
            path = f"/proc/self/task/{thread}/schedstat"
            _clocks[thread] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        told = os.pread(_clocks[thread], 100, 0)
    except OSError:  # the thread has ended, and another may get its number
        if (clock := _clocks.pop(thread, None)) is not None:
            os.close(clock)
        return 0.0
    return NANO * sum(map(int, told.split()[:2]))


class Usage:
    """What the processes below `root`, and `root`, have had of the processors."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.processor = self.line = 0.0  # seconds
        self.ran: dict[tuple[int, str], float] = {}  # by each process itself
        self.stood: dict[tuple[int, int, str], float] = {}  # by each thread, in line

    def read(self) -> tuple[list[int], int]:
        """Bring both up to date; all threads below `root`, and how many want to run."""
        alive, seen, eager = 0.0, list[int](), 0
        for pid in [self.root, *descendants(self.root)]:
            if not (found := stat(f"/proc/{pid}/stat")):
                continue
            own, system, *ended = (int(word) / TICK for word in found[TIMES])
            self.ran[pid, found[START]] = own + system
            alive += own + system + sum(ended)
            for thread in threads(pid):
                task = f"/proc/{pid}/task/{thread}"
                line = words(f"{task}/schedstat")
                self.stood[pid, thread, found[START]] = NANO * int((line or "00")[1])
                if pid != self.root:
                    eager += stat(f"{task}/stat")[:1] == ["R"]
                    seen.append(thread)
        self.processor = max(self.processor, alive, sum(self.ran.values()))
        self.line = sum(self.stood.values())
        return seen, eager
