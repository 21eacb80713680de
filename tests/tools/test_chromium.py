"""tools/chromium.py: skipping the browser is said aloud, and is an error on CI."""

import os
import subprocess
import sys

import chromium
import pytest


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)])
def test_without_a_chromium_it_says_what_is_skipped(tmp_path, ci, status):
    done = subprocess.run(
        [sys.executable, chromium.__file__],
        env=os.environ | {"PATH": str(tmp_path), "CHROMIUM": "", "CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status
    assert (done.stdout + done.stderr).strip() == chromium.MISSING


def test_a_named_chromium_comes_first(tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.touch(mode=0o755)
    monkeypatch.setenv("CHROMIUM", str(mine))
    assert chromium.find() == str(mine)
