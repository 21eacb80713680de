"""What a command costs: the seconds of the processors, of all that it starts.

Beside other work a wall time means nothing; a processor's second is nearly the same.

Read in order: `counted`.
Source: prctl(2), PR_SET_CHILD_SUBREAPER; getrusage(2), RUSAGE_CHILDREN.
"""

import contextlib
import ctypes
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from course.grader.terms import ROOT

PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Cost:
    """What a command took: of the processors, and on the clock."""

    processor: float  # seconds, of all that it started
    wall: float

    def __str__(self) -> str:
        return (
            f"{self.processor:8.1f} s of the processor, {self.wall:8.1f} on the clock"
        )


def counted(*command: str | Path) -> Cost:
    """The cost of a command and of all that it started, whoever waited for it.

    What loses its parent becomes this process's child. Raises CalledProcessError.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before, began = processor_seconds(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, check=True)
    wall = time.perf_counter() - began
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    return Cost(processor_seconds(resource.RUSAGE_CHILDREN) - before, wall)


def processor_seconds(*whose: int) -> float:
    """What this process and those that it started, and ended, have used."""
    whose = whose or (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, whose))
