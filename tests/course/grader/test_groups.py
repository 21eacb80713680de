"""Control groups: found where they are lent, and the kernel's limits where they are.

The second half needs a group that is lent (course/README.md tells how) and is skipped
elsewhere: `systemd-run --user --scope -p Delegate=yes make test T=tests/course/grader`.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from course.grader.box.groups import Group, Groups, is_lent, lent, own_folder
from course.grader.box.sandbox import Stopped
from course.grader.terms import Limits

V1 = "33 24 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
V2 = "35 24 0:30 {root} {place} rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"
needs_a_group = pytest.mark.skipif(lent() is None, reason="no control group is lent")


@pytest.mark.parametrize(
    ("root", "place", "own", "folder"),
    [
        ("/", "/sys/fs/cgroup", "/a/b.scope", "/sys/fs/cgroup/a/b.scope"),
        ("/", "/sys/fs/cgroup/unified", "/", "/sys/fs/cgroup/unified"),
        ("/docker/8a", "/sys/fs/cgroup", "/docker/8a/b", "/sys/fs/cgroup/b"),
        ("/docker/8a", "/sys/fs/cgroup", "/elsewhere", None),
    ],
)  # fmt: skip
def test_our_folder_is_where_the_tree_is_mounted(root, place, own, folder):
    mounts = V1 + V2.format(root=root, place=place)
    found = own_folder(f"4:cpu:/else\n0::{own}\n", mounts)
    assert found == (folder and Path(folder))
    assert own_folder("4:cpu:/else\n", mounts) is None, "a process of the first kind"
    assert own_folder(f"0::{own}\n", V1) is None, "nothing of the second is mounted"


def test_a_group_that_nobody_lent_is_not_divided(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("")
    assert not is_lent(tmp_path), "we may write there, as root may anywhere"
    assert not is_lent(tmp_path / "grader")


def test_a_submission_s_group_bounds_all_that_it_was_promised(tmp_path):
    limits = Limits(memory=1 << 30, files=8 << 20, processes=24)
    group = Groups(tmp_path).new(1234, limits)
    told = {path.name: path.read_text() for path in group.folder.iterdir()}
    assert int(told["memory.max"]) >= limits.memory + 2 * limits.files
    assert int(told["pids.max"]) >= limits.processes
    assert told["cgroup.procs"] == "1234"
    another = Groups(tmp_path).new(1234, limits)
    assert another.folder != group.folder


def test_what_another_grader_is_about_to_use_is_not_taken_away(tmp_path):
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    alive = tmp_path / f"submission-{os.getpid()}-0"
    left = tmp_path / f"submission-{gone}-0"
    alive.mkdir(), left.mkdir()
    Groups.prepare(tmp_path)
    assert alive.exists() and not left.exists()


def test_only_a_kill_for_memory_is_called_one(tmp_path):
    group = Group(tmp_path, 2 << 30)
    assert group.reason() is None, "it is gone"
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\n")
    assert group.reason() is None
    (tmp_path / "memory.events").write_text("low 0\nmax 7\noom 1\noom_kill 3\n")
    assert group.reason() == "it used more than 2 GB of memory"


CHILD = """
import os, time
if os.fork() == 0:
    {does}
"""


@needs_a_group
def test_the_kernel_ends_what_the_watch_does_not_see(box):
    keeps = "kept = bytearray(1 << 30); time.sleep(60)"  # a process may have 2 GB
    with box.sandbox() as sandbox:
        sandbox.watch.exceeds = lambda limit: False
        with pytest.raises(Stopped, match="more than 2 GB of memory"):
            for _ in range(4):
                sandbox.run(CHILD.format(does=keeps))
            for _ in range(20):
                sandbox.run("time.sleep(1)")


@needs_a_group
def test_a_group_goes_with_its_submission(box):
    with box.sandbox() as sandbox:
        sandbox.run(CHILD.format(does="time.sleep(60)"))
        folder = sandbox.group.folder
        inside = (folder / "cgroup.procs").read_text().split()
        assert len(inside) >= 3, "the supervisor, the process, its child"
    assert not folder.exists()


@needs_a_group
def test_sixteen_processes_win_no_more_of_the_processors_than_four(box):
    def seconds(sandbox):
        told = (sandbox.group.folder / "cpu.stat").read_text().split()
        return int(told[told.index("usage_usec") + 1]) / 1e6

    with box.sandbox() as many, box.sandbox() as few:
        for sandbox, processes in ((many, 16), (few, 4)):
            for _ in range(processes):
                sandbox.run(CHILD.format(does="while True: pass"))
        before = seconds(many), seconds(few)
        time.sleep(3)
        took = seconds(many) - before[0], seconds(few) - before[1]
    assert took[0] <= 2 * took[1], f"{took} s of the processors"


@needs_a_group
def test_another_process_finds_the_same_part():
    code = "from course.grader.box.groups import lent; print(lent().folder)"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert told.stdout.strip() == str(lent().folder), told.stderr
