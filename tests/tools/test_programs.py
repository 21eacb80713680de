"""tools/programs.py: skipping tests is said aloud, and is an error on CI."""

import os
import subprocess
import sys

import programs
import pytest


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)])
def test_what_is_missing_and_skipped_is_said(tmp_path, ci, status):
    done = subprocess.run(
        [sys.executable, programs.__file__],
        env=os.environ | {"PATH": str(tmp_path), "CHROMIUM": "", "CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status
    assert (done.stdout + done.stderr).splitlines() == [
        "No Chromium: the browser tests are skipped. To run them, install it (Debian "
        "and Ubuntu: apt-get install chromium), or name one with CHROMIUM=/path.",
        "No bubblewrap: the grader's tests are skipped. To run them, install it "
        "(Debian and Ubuntu: apt-get install bubblewrap).",
    ]


def test_root_on_debian_gets_them_installed(tmp_path):
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    apt.chmod(0o755)
    pretend = (
        "import os, runpy\nos.geteuid = lambda: 0\n"
        f"runpy.run_path({programs.__file__!r}, run_name='__main__')"
    )
    subprocess.run(
        [sys.executable, "-c", pretend],
        env=os.environ | {"PATH": str(tmp_path), "CHROMIUM": "", "CI": ""},
        capture_output=True,
        check=True,
        timeout=60,
    )
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[0] == "-q update"
    assert asked[1].endswith("chromium bubblewrap")


def test_a_named_chromium_comes_first(tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.touch(mode=0o755)
    monkeypatch.setenv("CHROMIUM", str(mine))
    assert programs.find(programs.CHROMIUM) == str(mine)
