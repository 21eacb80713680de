"""What a limit of time stopped is graded once more, alone, and that verdict counts.

The threads are real; grading is made up, since no real submission takes longer the
first time.
"""

import signal
import subprocess
import threading
import time

import pytest

from course.grader import campaign, worker
from course.grader.terms import Homework, Limits, Submission
from course.grader.worker import Worker, ended

RELEASE = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
HOMEWORK = Homework("hw_x", RELEASE, RELEASE, (), Limits())
SECOND = {
    "slow": "graded",
    "endless": "stopped",
}  # how those end that are first stopped


begun: list[tuple[str, int]] = []  # each grading, and how many ran then
running: list[str] = []
lock = threading.Lock()


def made_up(_, homework, submission):
    """Grade: the members of `SECOND` are stopped the first time."""
    student = submission.student
    with lock:
        running.append(student)
        begun.append((student, len(running)))
        times = sum(name == student for name, _ in begun)
    time.sleep(0.2)
    with lock:
        running.remove(student)
    first = "stopped" if student in SECOND else "graded"
    state = SECOND[student] if times > 1 else first
    graded = ended(homework, submission, state, [f"{times}"])
    graded.by_time = state == "stopped"
    return graded


@pytest.fixture
def grader(monkeypatch):
    monkeypatch.setattr(Worker, "assess", made_up)
    begun.clear()


def spread(students):
    tasks = [(HOMEWORK, Submission("hw_x", name, b"", None)) for name in students]
    return {
        task[1].student: (graded.state, graded.reasons)
        for task, graded in campaign.spread(iter(tasks), None, 2)
    }


def test_it_is_graded_once_more_at_the_end_alone_and_that_counts(grader):
    honest = [f"s{number}" for number in range(6)]
    found = spread(["slow", *honest, "endless"])
    assert found == dict.fromkeys(honest, ("graded", ["1"])) | {
        "slow": ("graded", ["2"]),
        "endless": ("stopped", ["2"]),
    }
    assert begun[-2:] == [("slow", 1), ("endless", 1)], "alone, when all is done"
    assert len(begun) == 8 + 2, "and no third time"


def test_a_desk_that_takes_too_long_was_stopped_by_time(monkeypatch):
    def late(*_):
        raise TimeoutError

    pipe = subprocess.PIPE
    desk = subprocess.Popen(["sleep", "1000"], stdin=pipe, stdout=pipe)
    slow = Worker()
    slow.desk, slow.version = desk, HOMEWORK.version
    monkeypatch.setattr(worker, "ask", late)
    graded = slow.assess(HOMEWORK, Submission("hw_x", "ada", b"", None))
    assert (graded.state, graded.by_time) == ("stopped", True)
    assert slow.desk is None
    assert desk.returncode == -signal.SIGKILL


def test_who_retires_opens_no_other_desk():
    worker = Worker()
    worker.retire()
    with pytest.raises(RuntimeError, match="retired"):
        worker.assess(HOMEWORK, Submission("hw_x", "ada", b"", None))
