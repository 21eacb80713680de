"""The seconds that a submission pays for: its processors', and slept; no one else's."""

import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from course.grader.box import processes
from course.grader.box.meter import LOOK_S, NICEST, Account
from course.grader.box.processes import Usage, descendants

PINNED = """
import os
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # one processor, shared
"""
SPINS = PINNED + "while True: pass"
BUSY = """
import os, signal, threading, time
def busy(seconds, clock=time.process_time):
    end = clock() + seconds
    while clock() < end:
        pass
def fork(work):
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    return child
"""


@pytest.fixture
def neighbours():
    """Eight processes that never rest, on one processor."""
    running = [subprocess.Popen([sys.executable, "-c", SPINS]) for _ in range(8)]
    yield
    for process in running:
        process.kill()
        process.wait()


def spent(box, body, *arguments):
    """What a call of a function with that body cost, and its time by the wall."""
    account = Account("all of it", 60)
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    with box.sandbox(account) as sandbox:
        assert sandbox.run(f"{PINNED}{BUSY}def f(g=None):\n{lines}") == []
        time.sleep(3 * LOOK_S)  # so that all of it is charged
        before, began = account.spent, time.monotonic()
        kind, told, _ = sandbox.call("f", *arguments)
        assert kind == "value", told
        took = time.monotonic() - began
        sandbox.meter.look()
        return account.spent - before, took


def test_work_beside_busy_neighbours_costs_what_it_is(box, neighbours):
    cost, took = spent(box, "busy(1)")
    assert took > 1.3 * cost, "the processor was shared"
    assert cost == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ("time.sleep(2)", 2),
        ("for _ in range(4):\n    fork(lambda: busy(0.5))\n    os.wait()", 2),
        (
            "for _ in range(4):\n"
            "    threading.Thread(target=busy, args=[0.5, time.thread_time]).start()\n"
            "while threading.active_count() > 1: time.sleep(0.01)",
            2,
        ),
        (
            "fork(lambda: fork(lambda: busy(2)))\nos.wait()\nos.wait()",
            2,
        ),
        (
            "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nfork(lambda: busy(2))\n"
            "try: os.wait()\nexcept OSError: pass",
            2,
        ),
        (
            "child = fork(lambda: os.kill(os.getpid(), signal.SIGSTOP))\n"
            "time.sleep(2)\nos.kill(child, signal.SIGKILL)",
            2,
        ),
    ],
    ids=["asleep", "children", "threads", "grandchild", "unwaited", "stopped"],
)
def test_what_a_submission_does_it_pays_for_once(box, body, seconds):
    cost, _ = spent(box, body)
    assert 0.8 * seconds < cost < 2 * seconds, "and no other's waiting"


def test_what_our_own_function_does_meanwhile_costs_nothing(box):
    cost, took = spent(box, "g()", lambda: time.sleep(2))
    assert took > 2 > 1 > cost


def nice_after(box, count):
    """How nice a submission is made of which so many processes want to run."""
    spins = f"for _ in range({count}): fork(lambda: busy(30))\n"
    with box.sandbox() as sandbox:
        assert sandbox.run(BUSY + f"def f():\n    {spins}    time.sleep(1)") == []
        assert sandbox.call("f")[0] == "value"
        threads, _ = sandbox.meter.usage.read()
        assert len(threads) > count
        return {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}


def test_the_more_hands_the_nicer_each(box):
    (alone,) = nice_after(box, 0)
    (many,) = nice_after(box, 16)
    assert alone == os.getpriority(os.PRIO_PROCESS, 0)
    assert 8 <= many - alone <= NICEST, "sixteen that weigh as much as one to three"


def test_no_process_gets_a_share_of_its_own_by_a_session(box):
    with box.sandbox() as sandbox:
        sandbox.run(
            "import os\ndef f():\n    if not os.fork(): os.setsid()\n    os.setsid()"
        )
        kind, told, _ = sandbox.call("f")
    assert (kind, told["ename"]) == ("error", "PermissionError")


# ------------------------------------------------------------- what the kernel says


@pytest.fixture
def family():
    """A process with a child and a grandchild that wait."""
    code = "import os\nfor _ in range(2):\n    if os.fork(): break\n"
    code += "os.write(1, b'%d\\n' % os.getpid())\nimport time; time.sleep(600)"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        names = {int(parent.stdout.readline()) for _ in range(3)}
        yield parent.pid, names - {parent.pid}
        for pid in names:
            psutil.Process(pid).kill()


def test_descendants_are_all_of_them_and_known_without_a_kernel_s_list(
    family, monkeypatch
):
    pid, below = family
    assert set(descendants(pid)) == below and len(below) == 2
    monkeypatch.setattr(processes.Path, "exists", lambda _: False)
    assert set(descendants(pid)) == below


def test_of_what_is_gone_nothing_is_said():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert descendants(gone.pid) == []
    usage = Usage(gone.pid)
    assert usage.read() == ([], 0)
    assert usage.processor == usage.line == 0


def test_without_schedstat_all_waiting_is_sleep(monkeypatch):
    def missing(*_):
        raise FileNotFoundError

    monkeypatch.setattr(processes, "words", lambda _: [])
    monkeypatch.setattr(processes, "_clocks", {})
    with monkeypatch.context() as without:
        without.setattr(os, "open", missing)
        assert processes.busy(os.getpid()) == 0
    usage = Usage(os.getpid())
    usage.read()
    assert usage.line == 0 and usage.processor > 0


def test_a_thread_that_has_ended_leaves_no_open_clock():
    told = []

    def work():
        told.append(threading.get_native_id())
        while not processes.busy(told[0]):
            pass

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    (number,) = told
    assert number in processes._clocks
    while processes.busy(number):  # the kernel buries it when it has time
        time.sleep(LOOK_S)
    assert number not in processes._clocks
