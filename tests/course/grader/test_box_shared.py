"""What processes of one submission share, and what a host's file keeps to itself."""

import fcntl
import shutil
from pathlib import Path

import pytest

from course.grader.box.box import Box
from course.grader.box.sandbox import Stopped
from course.grader.terms import ROOT, Limits

SLOWLY = Limits(call_s=300, total_s=900, memory=1 << 30)
ATTACKS = Path(__file__).parents[1] / "attacks" / "resources"
SQUARE = "def square(x):\n    return x * x\n"
POOL = f"""
import multiprocessing as mp
{SQUARE}
with mp.Pool() as pool:
    print(pool.map(square, range(5)))
"""
LOADER = """
import torch
from torch.utils.data import DataLoader, TensorDataset
numbers = torch.arange(8.0)
batches = DataLoader(TensorDataset(numbers), batch_size=2, num_workers=2)
print([batch.sum().item() for batch, in batches])
"""
OTHERS = """
import filelock, math, multiprocessing as mp, shutil, sqlite3
from multiprocessing.shared_memory import SharedMemory
with mp.get_context("spawn").Pool(1) as pool, mp.Manager() as manager:
    roots = manager.list(pool.map(math.sqrt, [4, 9]))
    print(list(roots))
shared = SharedMemory(create=True, size=1 << 20)
shared.buf[0] = 1
shared.unlink()
with filelock.FileLock("lock"), sqlite3.connect("table.db") as database:
    database.execute("create table t (x)")
copied = shutil.copyfile("table.db", "copy.db")
"""
COMPILED = """
import torch
@torch.compile
def twice(x):
    return x.sin() * 2
print(bool((twice(torch.ones(64)) - 2 * torch.ones(64).sin()).abs().max() < 1e-6))
"""
MANY_HANDS = """
import os, time
for _ in range(3):
    os.fork()
block = bytearray(b"x") * (200 << 20)
time.sleep(200)
"""
LOCKS = f"""
import fcntl
file = open({str(ROOT / "lib" / "__init__.py")!r})
fcntl.flock(file, fcntl.LOCK_EX)
fcntl.lockf(file, fcntl.LOCK_SH)
def leases(kind):
    fcntl.fcntl(file, 1024, kind)
"""


@pytest.fixture(scope="module")
def patient(box):  # it skips where there is none
    with Box(limits=SLOWLY) as patient:
        yield patient


@pytest.mark.parametrize(
    ("cell", "shows"),
    [
        (POOL, "[0, 1, 4, 9, 16]"),
        (LOADER, "[1.0, 5.0, 9.0, 13.0]"),
        (OTHERS, "[2.0, 3.0]"),
    ],
    ids=["pool", "loader", "others"],
)
def test_processes_work_together(patient, cell, shows):
    with patient.sandbox() as sandbox:
        assert [output.get("text") for output in sandbox.run(cell)] == [f"{shows}\n"]


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a compiler")
def test_an_answer_can_be_compiled(patient):
    with patient.sandbox() as sandbox:
        assert [output.get("text") for output in sandbox.run(COMPILED)] == ["True\n"]


def test_without_a_compiler_that_cell_says_so_and_the_next_one_runs(patient):
    with patient.sandbox() as sandbox:
        sandbox.run("import os\nos.environ['PATH'] = '/'")
        *_, error = sandbox.run(COMPILED)
        assert error["output_type"] == "error" and "compiler" in error["evalue"]
        assert sandbox.run("print(1)")[0]["text"] == "1\n"


@pytest.mark.parametrize("attack", ["in_sockets", "in_programs", "of_copies", ""])
def test_memory_of_all_that_it_started_counts(patient, attack):
    source = (ATTACKS / f"memory_{attack}.py").read_text() if attack else MANY_HANDS
    with (
        patient.sandbox() as sandbox,
        pytest.raises(Stopped, match="it used more than 1 GB of memory"),
    ):
        sandbox.run(source)


def test_what_processes_share_ends_with_them_and_is_bounded(box):
    limit = box.limits.files
    with box.sandbox() as sandbox:
        sandbox.run("shared = open('/dev/shm/left', 'wb')")
        (error,) = sandbox.run(f"shared.write(bytes({limit + 1}))\nshared.flush()")
        assert error["ename"] == "OSError"
    with box.sandbox() as sandbox:
        assert sandbox.run("import os; assert not os.listdir('/dev/shm')") == []


def test_a_lock_on_a_file_of_the_host_is_none(box):
    with box.sandbox() as sandbox:
        assert sandbox.run(LOCKS) == []
        with open(ROOT / "lib" / "__init__.py", "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        kind, told, _ = sandbox.call("leases", fcntl.F_RDLCK)
        assert (kind, told["ename"]) == ("error", "PermissionError")
