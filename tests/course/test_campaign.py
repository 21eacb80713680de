"""Whatever is killed, full or locked: run it again, and every grade is right, once."""

import fcntl
import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_markdown_cell

from course.grader.campaign import ctrl_c

CLASS = [f"s{number:02}" for number in range(8)]
PATIENT = "import time; time.sleep(0.4); return {}"
UNBOXED = "--without-a-box-i-trust-every-student"


def expected(student):
    """Even numbers are right, odd ones square."""
    right = int(student[1:]) % 2 == 0
    return [2.0 * right, 1.0 if right else 0.25]


@pytest.fixture
def class_(course):
    """A class that nobody has graded, each submission slow enough to be caught at."""
    for student in CLASS:
        right = int(student[1:]) % 2 == 0
        course.hand_in(student, PATIENT.format("2 * x" if right else "x * x"))
        stamp = course.path(student, "autograded").with_name(".graded.json")
        stamp.unlink(missing_ok=True)
    course.sql("update grade set auto_score = null")  # so that each has to be written
    return course


def wait_until(condition, what, seconds=1800):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def stamped(course):
    return [student for student in CLASS if course.stamp(student)]


def check(course):
    """Every grade is right, and none is there twice."""
    scores = course.scores()
    for student in CLASS:
        assert scores[student][:2] == expected(student), student
        assert len(scores[student]) == 3
    assert stamped(course) == CLASS


def desks(client):
    """The desks below `client`."""
    below = psutil.Process(client.pid).children()
    return [p for p in below if "course.grader.desk" in " ".join(p.cmdline())]


def test_a_desk_killed_in_mid_run_costs_nobody_anything(class_):
    client = class_.start("tools/grade.py", "--workers", "2")
    wait_until(lambda: stamped(class_), "a first grade")
    victim = desks(client)[0]
    victim.kill()
    out, err = client.communicate(timeout=1800)
    assert client.returncode == 0, err
    check(class_)
    assert len(class_.rows(out)) >= len(CLASS)
    assert "Traceback" not in err


def test_the_client_killed_in_mid_run_leaves_no_process_and_no_wrong_grade(class_):
    client = class_.start("tools/grade.py", "--workers", "2")
    wait_until(lambda: stamped(class_), "a first grade")
    family = psutil.Process(client.pid).children(recursive=True)
    client.kill()
    client.communicate()
    early = {
        s: class_.path(s, "autograded").stat().st_mtime_ns for s in stamped(class_)
    }
    assert len(early) < len(CLASS), "it was killed too late to show anything"
    _, alive = psutil.wait_procs(family, timeout=300)
    assert not alive, "a grader outlives its client"
    assert class_.grade("--workers", "2").returncode == 0
    check(class_)
    for student, when in early.items():
        assert class_.path(student, "autograded").stat().st_mtime_ns == when


@pytest.fixture
def cluster(course, tmp_path):
    """A scheduler and one worker, started as course/README.md says; its address."""
    address = tmp_path / "scheduler.json"
    dask = (sys.executable, "-m", "dask")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    where = {"cwd": course.root, "start_new_session": True}
    scheduler = ("scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1")
    worker = ("worker", "--nworkers", "1", "--nthreads", "1", "--no-dashboard")
    file = ("--scheduler-file", str(address))
    running = [subprocess.Popen(dask + scheduler + file, **where, **quiet)]
    wait_until(address.exists, "the scheduler's address")
    running.append(subprocess.Popen(dask + worker + file, **where, **quiet))
    yield json.loads(address.read_text())["address"]
    for process in running:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=600)


def test_a_cluster_grades_as_this_machine_does(class_, cluster):
    done = class_.grade("--cluster", cluster)
    assert done.returncode == 0, done.stdout
    check(class_)


def test_no_other_program_gives_this_machine_s_desks_work(class_):
    client = class_.start("tools/grade.py", "--workers", "1")
    wait_until(lambda: stamped(class_), "a first grade")
    family = [psutil.Process(client.pid)]
    family += family[0].children(recursive=True)
    doors = {
        door.laddr.port
        for process in family
        for door in process.net_connections("tcp")
        if door.status == psutil.CONN_LISTEN
    }
    assert len(family) > 3, "a desk, and its box"
    assert not doors, "there is nowhere to knock"
    _, err = client.communicate(timeout=1800)
    assert client.returncode == 0, err
    check(class_)


def test_a_full_disk_is_told_and_a_second_run_mends_it(class_):
    class_.hand_in("s06")
    nb = nbformat.read(class_.path("s06"), as_version=4)
    nb.cells += [new_markdown_cell("So it is. " * 9_000) for _ in range(15)]
    nbformat.write(nb, class_.path("s06"))
    room = (class_.folder / "gradebook.db").stat().st_size + (200 << 10)

    def full() -> None:  # no file grows beyond this: a quota, as the system makes it
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

    done = class_.grade("--workers", "1", preexec_fn=full)
    assert done.returncode == 1
    assert "run it again for the rest" in done.stderr
    assert "Traceback" not in done.stderr
    assert class_.stamp("s06") is None
    assert not list(class_.folder.rglob(".*.draft")), "half a file is left"
    assert class_.grade("--workers", "1").returncode == 0
    check(class_)


def test_a_locked_gradebook_is_waited_for_then_told(class_):
    quick = class_.folder / "grader" / "gradebook.py"
    text = quick.read_text()
    quick.write_text(re.sub(r"PATIENCE_S = \d+", "PATIENCE_S = 1", text))
    with closing(sqlite3.connect(class_.folder / "gradebook.db")) as other:
        other.execute("begin immediate")
        done = class_.grade("--workers", "1")
        other.rollback()
    quick.write_text(text)
    assert done.returncode == 1
    assert "The gradebook can't be written (database is locked)" in done.stderr
    assert stamped(class_) == []
    assert class_.grade().returncode == 0
    check(class_)


def test_one_run_at_a_time(course):
    with (course.folder / ".grading.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        course.hand_in("s00")
        done = course.grade()
    assert done.returncode == 1
    assert done.stderr.strip() == "another `make grade` is running on this course"


def test_without_bubblewrap_nothing_is_graded_unless_one_insists(course):
    course.hand_in("trusted")
    bare = {"PATH": str(Path(sys.executable).parent)}
    done = course.grade("--student", "trusted", environment=bare)
    assert done.returncode == 1
    assert "apt-get install bubblewrap" in done.stderr
    assert course.stamp("trusted") is None
    done = course.grade("--student", "trusted", UNBOXED, environment=bare)
    assert course.rows(done.stdout)["trusted"]["state"] == "to be read, no box"
    assert course.scores()["trusted"][:2] == [2.0, 1.0]
    assert (
        "at the instructor's own risk"
        in course.path("trusted", "autograded").read_text()
    )
    done = course.grade("--student", "trusted")
    assert course.rows(done.stdout)["trusted"]["state"] == "to be read"
    assert course.stamp("trusted")["unsafe"] is False, "once there is a box, it is used"


def heed_ctrl_c():
    """In a shell's background it is ignored, and so is it in all that starts there."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def handler():
    """Sets what SIGINT does, and in the end sets it back."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda new: signal.signal(signal.SIGINT, new)
    signal.signal(signal.SIGINT, before)


class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_in_a_finalizer_is_not_lost(handler):
    handler(signal.default_int_handler)
    with ctrl_c() as check:
        check()
        Finalized()  # KeyboardInterrupt is raised, and ignored
        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_that_is_ignored_stays_so(handler):
    handler(signal.SIG_IGN)
    with ctrl_c() as check:
        signal.raise_signal(signal.SIGINT)
        check()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_ctrl_c_ends_it_in_a_sentence(class_):
    client = class_.start(
        *("tools/grade.py", "--workers", "1"),
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )
    wait_until(lambda: stamped(class_), "a first grade")
    os.killpg(client.pid, signal.SIGINT)
    _, err = client.communicate(timeout=600)
    assert client.returncode == 1
    assert "run it again for the rest" in err
    assert "Traceback" not in err
