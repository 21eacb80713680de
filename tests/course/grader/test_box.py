"""The box: what student code can see, use and leave behind; every limit has an end."""

import contextlib
import os
import time
from pathlib import Path

import psutil
import pytest
import torch

from course.grader.box.box import Box
from course.grader.box.memory import at_most, shares
from course.grader.box.meter import Account
from course.grader.box.sandbox import Stopped
from course.grader.terms import ROOT, Limits, NoBox

PROBE = """
def probe():
    import os, pathlib, socket
    def tries(action):
        try:
            return repr(action())
        except Exception as error:
            return type(error).__name__
    return {
        "pid": os.getpid(),
        "uid": os.getuid(),
        "home": os.listdir(os.environ["HOME"]),
        "variables": sorted(os.environ),
        "proc": os.listdir("/proc"),
        "network": tries(lambda: socket.create_connection(("127.0.0.1", 22), 1)),
        "names": tries(lambda: socket.getaddrinfo("example.org", 80)),
        "course": [str(p) for p in pathlib.Path(ROOT).iterdir()],
        "write": tries(lambda: open(ROOT + "/lib/x.py", "w")),
        "capabilities": tries(lambda: os.setuid(0)),
        "parent": os.getppid(),
    }
"""


def values(answer):
    kind, value, _ = answer
    assert kind == "value", value
    return value


def test_a_shell_command_shows_what_it_prints(sandbox):
    (shown,) = sandbox.run(
        "word = 'hello'\n!echo {word} >&2; exit 3\nprint(_exit_code)"
    )
    assert shown["text"] == "hello\n3\n"
    (shown,) = sandbox.run("lines = !echo one; echo two\nprint(list(lines))")
    assert shown["text"] == "['one', 'two']\n"


def test_a_cell_shows_what_it_prints_and_a_function_answers(sandbox):
    (shown,) = sandbox.run("print('hello')\ndef f(x, *, y=1):\n    return x + y")
    assert shown == {"output_type": "stream", "name": "stdout", "text": "hello\n"}
    assert torch.equal(
        values(sandbox.call("f", torch.ones(3), y=2)), torch.full((3,), 3.0)
    )


def test_figures_and_magics_work_as_in_a_notebook(sandbox):
    outputs = sandbox.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
    assert [set(o["data"]) for o in outputs] == [{"image/png", "text/plain"}]
    assert "loop" in str(sandbox.run("%matplotlib inline\n%timeit -n1 -r1 pass"))
    assert sandbox.run("1 + 1") == [
        {"output_type": "display_data", "data": {"text/plain": "2"}}
    ]


def test_functions_of_a_test_are_called_back(sandbox):
    sandbox.run("def twice(f, x):\n    return f(f(x))")
    assert values(sandbox.call("twice", lambda x: x * 10, 3)) == 300
    kind, told, _ = sandbox.call("twice", lambda x: x / 0, 3)
    assert kind == "error" and "division by zero" in told["evalue"]


def test_there_is_nothing_to_see(sandbox):
    sandbox.run(f"ROOT = {str(ROOT)!r}" + PROBE)
    seen = values(sandbox.call("probe"))
    assert seen["pid"] == 1 and seen["parent"] == 0
    assert seen["uid"] != os.getuid() or os.getuid() != 0
    assert seen["home"] == []
    assert {Path(path).name for path in seen["course"]} <= {"lib", "course", ".venv"}
    assert set(seen["proc"]) <= {"cpuinfo"}
    assert not {"USER", "SSH_AUTH_SOCK", "VIRTUAL_ENV"} & set(seen["variables"])
    for forbidden in ("network", "names", "write"):
        assert seen[forbidden].lower().endswith("error"), seen


def test_torch_and_lib_are_there_and_what_is_withheld_is_not(sandbox):
    source = "import torch\nfrom lib.formats import FP16\ndef f():\n    return FP16.max"
    assert sandbox.run(source) == [] and values(sandbox.call("f")) == 65504.0
    for line in (
        "from lib.quant.uniform.grid import fit_grid",
        "from ml_dtypes import int4",
    ):
        (error,) = sandbox.run(line)
        assert error["ename"] in ("ImportError", "ModuleNotFoundError")


def test_what_one_submission_leaves_no_other_finds(box):
    mess = (
        "open('left', 'w').write('x')\nimport torch, builtins\n"
        "torch.allclose = builtins.sum = lambda *_: True\n"
        "import os\nif os.fork() == 0:\n    os.setsid()\n    import time\n"
        "    time.sleep(100)"
    )
    family = psutil.Process(box.process.pid).children
    before = len(family(recursive=True))  # bubblewrap's own, and the zygote
    with box.sandbox() as first:
        first.run(mess)
    with box.sandbox() as second:
        second.run(
            "import os, torch\ndef f():\n    return os.listdir('.'), sum([1, 2]),"
            " torch.allclose(torch.ones(1), torch.zeros(1)), os.getpid()"
        )
        assert values(second.call("f")) == ([], 3, False, 1)
    end = time.monotonic() + 300
    while len(family(recursive=True)) > before:
        assert time.monotonic() < end, f"there live on: {family(recursive=True)}"
        time.sleep(0.05)


HANG = "def f():\n    while True:\n        pass"
SLEEP = "def f():\n    import time\n    time.sleep(1000)"
DEAF = (
    "def f():\n    import signal, time\n"
    "    for s in range(1, 65):\n        try:\n            signal.signal(s, 1)"
    "\n        except (OSError, ValueError):\n            pass\n    time.sleep(1000)"
)


def test_what_forks_share_is_nobody_s_growth(box):
    """18 children of a process of 150 MB are no 2.7 GB."""
    with box.sandbox() as sandbox:
        sandbox.run(
            "import os, time\ndef f():\n    for _ in range(18):\n"
            "        if not os.fork():\n            time.sleep(1000)\n"
            "    time.sleep(1)\n    return 1"
        )
        assert values(sandbox.call("f")) == 1
        most = {pid: at_most(pid) for pid in box.family()}
        assert sum(most.values()) > box.limits.memory + box.given
        assert shares(most) < (200 << 20) + box.given


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (HANG, "one call took more than 6 s"),
        (SLEEP, "one call took more than 6 s"),
        (DEAF, "one call took more than 6 s"),
        ("def f():\n    import os\n    os._exit(0)", "ended itself"),
        ("def f():\n    import os\n    os.abort()", "ended itself"),
    ],
    ids=["hang", "sleep", "deaf", "exit", "abort"],
)
def test_every_limit_ends_the_call_in_words(box, source, says):
    with box.sandbox() as sandbox:
        sandbox.run(source)
        with pytest.raises(Stopped, match=says):
            sandbox.call("f")
        with pytest.raises(Stopped, match=says):
            sandbox.call("f")


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    return len(bytearray(3 << 30))",
        "def f():\n    import mmap\n    return len(mmap.mmap(-1, 64 << 30))",
        "def f():\n    import torch\n    return torch.empty(1 << 32).sum()",
        "def f():\n    open('big', 'wb').write(bytes(64 << 20))",
        "def f():\n    raise SystemExit",
        "def f():\n    return f",
        "def f():\n    return f()",
    ],
    ids=["bytes", "mapped", "tensor", "disk", "exit", "unplain", "recursion"],
)
def test_asking_for_too_much_is_an_error_of_their_own(box, source):
    with box.sandbox() as sandbox:
        sandbox.run(source)
        kind, told, _ = sandbox.call("f")
        assert kind == "error" and told["ename"]


def test_a_fork_bomb_ends_and_the_next_submission_is_served(box):
    with box.sandbox() as sandbox:
        sandbox.run("import os\ndef f():\n    while True:\n        os.fork()")
        with contextlib.suppress(Stopped):  # by whichever limit comes first
            kind, told, _ = sandbox.call("f")
            assert kind == "error" and told["ename"] == "BlockingIOError", told
    with box.sandbox() as sandbox:
        sandbox.run("def f():\n    return 1")
        assert values(sandbox.call("f")) == 1


def test_a_flood_of_output_is_cut(sandbox):
    (shown,) = sandbox.run("for _ in range(300_000):\n    print('x' * 100)")
    assert len(shown["text"]) < 200_000 and "cut" in shown["text"]


def test_the_whole_submission_has_an_end(box):
    brief = Account("the whole submission", 1)
    with (
        box.sandbox(brief) as sandbox,
        pytest.raises(Stopped, match="the whole submission took more than 1 s"),
    ):
        sandbox.run("import time; time.sleep(100)")


def test_without_bubblewrap_it_refuses_and_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoBox, match="apt-get install bubblewrap"):
        Box()
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: no permissions' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(NoBox, match=r"cannot start \(bwrap: no permissions\)"):
        Box()


@pytest.mark.parametrize("wrong", [{"call_s": 0}, {"memory": -1}])
def test_limits_validate_themselves(wrong):
    with pytest.raises(ValueError, match="must be positive"):
        Limits(**wrong)
