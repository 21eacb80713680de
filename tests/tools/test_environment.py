"""tools/environment.py: each thing that can be missing is one line with its remedy."""

import ast
import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import environment
import pytest
import watch

SCRIPT = Path(environment.__file__)
NO_INDEX = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_FIND_LINKS": "",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_RETRIES": "0",
}


def run(*arguments, **variables):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


def assert_one_line(done, *words):
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def finish(venv, **changes):
    """Make `venv` look finished, but for `changes` in its stamp."""
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / "pyvenv.cfg").touch()
    stamp = environment.wanted(set()) | changes
    environment.stamp_file(venv).write_text(json.dumps(stamp))
    return venv


# Python itself


@pytest.mark.parametrize("version", [(3, 6), (3, 10), (3, 14)])
def test_another_python_is_named_with_the_remedy(version):
    pretend = (
        "import runpy, sys\n"
        f"sys.version_info = {version} + (0,)\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", pretend], capture_output=True, text=True, timeout=60
    )
    assert_one_line(done, "3.11, 3.12 or 3.13", f"this is {version[0]}.{version[1]}")
    assert "PYTHON=python3." in done.stderr


def test_an_old_python_can_parse_what_tells_it_that_it_is_old():
    ast.parse(SCRIPT.read_text(), feature_version=(3, 6))


def test_no_venv_module_names_debians_package(tmp_path):
    (tmp_path / "venv.py").write_text(
        "import sys\nprint('The virtual environment was not created successfully "
        "because ensurepip is not available.')\nsys.exit(1)\n"
    )
    done = run("--venv", tmp_path / "made", PYTHONPATH=str(tmp_path))
    assert_one_line(done, "apt-get install python3.", "-venv")


# Network, disk, interruption


def test_no_network_is_one_line(tmp_path):
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    done = run("--venv", tmp_path / "venv", **NO_INDEX, **nowhere)
    assert_one_line(done, "network", "run the same command again")
    assert not environment.stamp_file(tmp_path / "venv").exists()


@pytest.fixture
def interruptible():
    """A shell's background jobs ignore Ctrl-C, and hand that down; here nobody does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupted_run_says_how_to_go_on(tmp_path, interruptible):
    with socket.create_server(("127.0.0.1", 0)) as mute:  # accepts, never answers
        index = f"http://127.0.0.1:{mute.getsockname()[1]}/simple"
        process = subprocess.Popen(
            [sys.executable, SCRIPT, "--venv", tmp_path / "venv"],
            env=os.environ | NO_INDEX | {"PIP_INDEX_URL": index},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        mute.settimeout(60)
        asking, _ = mute.accept()  # pip is at work
        os.killpg(process.pid, signal.SIGINT)
        try:
            with asking:
                _, complaint = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
    assert complaint.strip() == (
        "Interrupted. The same command, run again, mends what is half-made."
    )
    assert process.returncode != 0
    assert not environment.stamp_file(tmp_path / "venv").exists()


def test_a_full_disk_is_seen_before_anything_is_made(tmp_path, monkeypatch):
    full = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(SystemExit, match=r"needs 4 GB .* has 1\.0 GB free.*VENV="):
        environment.make(tmp_path / "venv", set())
    assert not (tmp_path / "venv").exists()


# Progress

PIP = """\
#!/bin/sh
site={site}
echo 'Collecting torch>=2.11 (from llm-compression-from-scratch==0.1.0)'
sleep 1.5
echo '  Downloading torch-2.11.0-cp311-cp311-manylinux.whl (821.0 MB)'
sleep 1.5
echo 'Processing /a/folder/numpy-2.4.6-cp311.whl (from torch)'
sleep 1.5
echo 'Installing collected packages: numpy, torch'
mkdir $site/numpy-2.4.6.dist-info
sleep 1.5
mkdir $site/torch-2.11.0.dist-info
echo 'Successfully installed numpy-2.4.6 torch-2.11.0'
"""
STEPS = (
    "package 1: finding torch",
    "package 1: fetching torch (821.0 MB)",
    "package 2: finding numpy",
    "installing 1 of 2 packages",
)


@pytest.fixture
def slow_pip(tmp_path):
    """An environment whose pip takes seconds for two packages."""
    venv = tmp_path / "venv"
    site = venv / "lib" / "python3.11" / "site-packages"
    for folder in (site, venv / "bin"):
        folder.mkdir(parents=True)
    environment.python_of(venv).write_text(PIP.format(site=site))
    environment.python_of(venv).chmod(0o755)
    return venv


def test_an_installation_without_a_terminal_is_told_in_plain_lines(
    slow_pip, capsys, monkeypatch
):
    monkeypatch.setattr(watch, "PLAIN_S", 0.5)
    environment.pip(slow_pip, "torch")
    *told, last = capsys.readouterr().out.splitlines()
    steps = list(dict.fromkeys(line.split(maxsplit=1)[1] for line in told))
    assert [step for step in steps if step in STEPS] == list(STEPS)
    assert "\x1b" not in "".join(told)
    assert re.fullmatch(r"Installed 2 packages in \d+ s\.", last)


def test_an_installation_on_a_terminal_is_one_living_line(slow_pip):
    terminal, theirs = pty.openpty()
    code = (
        "import sys, environment; environment.pip(environment.Path(sys.argv[1]), 'x')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(slow_pip)],
        env=os.environ | {"PYTHONPATH": str(SCRIPT.parent), "COLUMNS": "60"},
        stdout=theirs,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # that is how a terminal ends on Linux
        while more := os.read(terminal, 1024):
            shown += more
    os.close(terminal)
    assert process.wait(timeout=60) == 0
    living, last = shown.decode().rsplit("\r\x1b[K", 1)
    assert "\n" not in living
    assert all(step in living for step in STEPS)
    assert last.startswith("Installed 2 packages in ")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("OSError: [Errno 28] No space left on device", "make room"),
        ("Retrying after connection broken by 'NameResolutionError'", "network"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "pip cache purge"),
        ("OSError: [Errno 30] Read-only file system: '/x'", "VENV="),
        ("first\nERROR: something new", "ERROR: something new (all of it: the.log)"),
    ],
)
def test_what_pip_complains_of_becomes_a_remedy(output, words):
    line = environment.remedy(output, "the.log")
    assert words in line
    assert "\n" not in line


# The one rule: the stamp is written last and removed first


def test_a_finished_environment_is_left_alone(tmp_path):
    done = run("--venv", finish(tmp_path / "venv"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_environment_whose_python_is_gone_is_unfinished(tmp_path):
    venv = finish(tmp_path / "venv")
    (venv / "bin" / "python").unlink()
    assert environment.read_stamp(venv) == {}


@pytest.fixture
def calls(monkeypatch):
    """What would be installed: the arguments of pip, and whether the stamp stood."""
    seen = []

    def pip(venv, *arguments):
        seen.append((arguments, environment.stamp_file(venv).exists()))

    monkeypatch.setattr(environment, "pip", pip)
    monkeypatch.setattr(environment, "warm_model", lambda venv: None)
    return seen


def test_a_half_made_environment_is_made_again(tmp_path, calls, capsys):
    venv = finish(tmp_path / "venv")
    environment.stamp_file(venv).unlink()
    (venv / "half-a-package").touch()
    environment.make(venv, set())
    assert "half-made" in capsys.readouterr().out
    assert not (venv / "half-a-package").exists()
    assert len(calls) == 2
    assert environment.read_stamp(venv) == environment.wanted(set())


def test_new_dependencies_are_installed_without_a_stamp_and_stamped_after(
    tmp_path, calls
):
    venv = finish(tmp_path / "venv", packages="before", extras=["dev"])
    environment.make(venv, set())
    [(arguments, stamped)] = calls
    assert not stamped
    assert arguments[-1].endswith("[dev]"), "an extra once installed must stay"
    assert environment.read_stamp(venv) == environment.wanted({"dev"})


def test_new_data_leave_the_packages_alone(tmp_path, calls):
    venv = finish(tmp_path / "venv")
    environment.forget_data(venv)
    environment.make(venv, set())
    [(arguments, stamped)] = calls
    assert "--require-hashes" in arguments
    assert not stamped


def test_a_folder_that_is_no_environment_is_never_removed(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(SystemExit, match="no environment"):
        environment.make(tmp_path, set())
    assert (tmp_path / "thesis.tex").exists()


def test_a_conda_environment_is_used_as_it_is(tmp_path, calls):
    (tmp_path / "conda-meta").mkdir()
    (tmp_path / "conda-meta" / "history").touch()
    environment.make(tmp_path, set())
    assert len(calls) == 2
    assert (tmp_path / "conda-meta" / "history").exists()


def test_a_second_make_waits_for_the_first(tmp_path):
    venv = finish(tmp_path / "venv", packages="before")
    with (tmp_path / "venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen(
            [sys.executable, "-u", SCRIPT, "--venv", venv],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert "waiting" in second.stdout.readline()
        environment.stamp_file(venv).write_text(json.dumps(environment.wanted(set())))
    assert second.wait(timeout=60) == 0, "the first did it all: nothing is left to do"
    second.stdout.close()
