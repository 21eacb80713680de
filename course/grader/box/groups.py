"""A control group for each submission, where the kernel lends us a part of its tree.

    memory.max = memory + 2 files + the kernel's own       pids.max = processes + 16

The kernel itself then counts what memory.py cannot see (its own tables, pipes, sockets,
a page between two looks), shares the processors evenly among submissions however many
threads each has, and kills all of one at once. Nothing depends on it: where nothing is
lent, memory.py, meter.py and the limits of a process hold by themselves.

A part is lent by systemd (`systemd-run --user --scope -p Delegate=yes make grade`), or
by a container in which we may write to the root of its tree. No process may stay in a
group that lends to groups below it: so all that run there, us too, move into `GRADER`.

Read in order: `lent`, `Groups.new`, `Group`.
Source: Linux's Documentation/admin-guide/cgroup-v2.rst; systemd's CGROUP_DELEGATION.
"""

import contextlib
import functools
import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

from course.grader.box.memory import over
from course.grader.terms import Limits

NEEDED = ("cpu", "memory", "pids")  # the kernel's controllers
GRADER, SUBMISSION = "grader", "submission"
KERNEL = 512 << 20  # bytes of the kernel's own for a submission: tables, sockets, pipes
CLOSING_S = 5.0  # for what was killed to be gone
TRIES = 20  # while others start processes where none may stay
_numbers = itertools.count()


@functools.cache
def lent() -> "Groups | None":
    """The part of the tree that is lent to this process; None where none is."""
    try:
        folder = own_folder(
            Path("/proc/self/cgroup").read_text(),
            Path("/proc/self/mountinfo").read_text(),
        )
        if folder is None or not is_lent(folder):
            return None
        return Groups.prepare(folder.parent if folder.name == GRADER else folder)
    except OSError:  # the kernel refuses: then nothing is lent
        return None


def own_folder(groups: str, mounts: str) -> Path | None:
    """The folder of our group, by /proc/self/cgroup and /proc/self/mountinfo."""
    own = [line[3:] for line in groups.splitlines() if line.startswith("0::/")]
    for line in mounts.splitlines():
        place, _, kind = line.partition(" - ")
        root, mounted = place.split()[3:5]
        if own and kind.startswith("cgroup2 ") and Path(own[0]).is_relative_to(root):
            return Path(mounted) / Path(own[0]).relative_to(root)
    return None


def is_lent(folder: Path) -> bool:
    """Whether this group is ours to divide: a tree's root, or marked by systemd."""
    if folder.name == GRADER:  # an earlier process of ours divided the one above
        folder = folder.parent
    offered = (folder / "cgroup.controllers").read_text().split()
    if not set(NEEDED) <= set(offered) or not os.access(
        folder / "cgroup.subtree_control", os.W_OK
    ):
        return False
    return os.path.ismount(folder) or "1" in map(
        functools.partial(mark, folder), ("user.delegate", "trusted.delegate")
    )


def mark(folder: Path, name: str) -> str:
    """An extended attribute of a folder; nothing where it has none."""
    try:
        return os.getxattr(folder, name).decode(errors="replace")
    except OSError:
        return ""


@dataclass(frozen=True)
class Groups:
    """A group that is lent to us, in which we make one for each submission."""

    folder: Path

    @classmethod
    def prepare(cls, folder: Path) -> "Groups":
        """Move what runs there down, and have the kernel divide it among groups below.

        Raises OSError where the kernel refuses.
        """
        below = folder / GRADER
        below.mkdir(exist_ok=True)
        for old in folder.glob(f"{SUBMISSION}-*"):
            grader = old.name.split("-")[1]  # by its process, which may be at work
            if not Path("/proc", grader).exists():
                with contextlib.suppress(OSError):  # something still runs there
                    old.rmdir()
        for left in reversed(range(TRIES)):
            move_down(folder, below)
            try:
                (folder / "cgroup.subtree_control").write_text(
                    " ".join(f"+{name}" for name in NEEDED)
                )
                break
            except OSError:
                if not left:
                    raise
        return cls(folder)

    def new(self, pid: int, limits: Limits) -> "Group":
        """A group for a submission whose first process, so far alone, is `pid`.

        Raises ProcessLookupError where that has ended, another OSError where the kernel
        refuses; no group is left then.
        """
        name = f"{SUBMISSION}-{os.getpid()}-{next(_numbers)}"
        group = Group(self.folder / name, limits.memory)
        group.folder.mkdir()
        with contextlib.ExitStack() as until_it_stands:
            until_it_stands.callback(group.close)
            with contextlib.suppress(FileNotFoundError):  # a kernel without swap
                (group.folder / "memory.swap.max").write_text("0")
            for name, value in {
                "memory.max": limits.memory + 2 * limits.files + KERNEL,
                "memory.oom.group": 1,  # all of it, never a part
                "pids.max": limits.processes + 16,
                "cgroup.procs": pid,
            }.items():
                (group.folder / name).write_text(str(value))
            until_it_stands.pop_all()
        return group


def move_down(folder: Path, below: Path) -> None:
    """Move all processes of a group into another; the tree's true root may keep its."""
    if not (folder / "cgroup.type").exists():
        return
    for pid in (folder / "cgroup.procs").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            (below / "cgroup.procs").write_text(pid)


@dataclass(frozen=True)
class Group:
    """The group of one submission."""

    folder: Path
    memory: int  # bytes that it was promised

    def reason(self) -> str | None:
        """The limit that the kernel ended it at, in words."""
        with contextlib.suppress(OSError, ValueError):
            events = (self.folder / "memory.events").read_text().split()
            if int(dict(zip(events[::2], events[1::2], strict=True))["oom_kill"]):
                return over(self.memory)
        return None

    def close(self) -> None:
        """Kill what is left in it, and take it away; one that will not go stays."""
        with contextlib.suppress(OSError):
            (self.folder / "cgroup.kill").write_text("1")
        end = time.monotonic() + CLOSING_S
        while self.folder.exists() and time.monotonic() < end:
            with contextlib.suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.005)
