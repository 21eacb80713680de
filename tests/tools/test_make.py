"""The Makefile: its help is complete, and it picks the right environment."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = {"VENV", "PYTHON", "PORT", "ROLE", "STUDENT", "BROWSER", "ARGS"}
VERBS = {"lab", "test", "release", "submit", "grade", "instructor", "notebooks", "lint"}


def make(*arguments, **variables):
    # `make test VENV=...` hands its settings down to what it runs, these tests too.
    kept = {
        key: value
        for key, value in os.environ.items()
        if "MAKE" not in key and key not in SETTINGS
    }
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env=kept | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_lists_every_verb():
    listed = set(re.findall(r"^  make (\w+) +\S", make("help").stdout, re.MULTILINE))
    assert listed >= VERBS
    assert make().stdout == make("help").stdout


@pytest.mark.parametrize("active", ["llm-compression", "base", ""])
def test_conda_s_environment_is_used_when_it_is_the_course_s(active):
    settings = {"CONDA_DEFAULT_ENV": active, "CONDA_PREFIX": "/conda/of/mine"}
    plan = make("--dry-run", "lab", **settings).stdout
    venv = "/conda/of/mine" if active == "llm-compression" else ".venv"
    assert f"--venv {venv} " in plan


def test_the_lab_takes_a_port_flags_and_no_browser():
    plan = make("-n", "lab", "PORT=9000", "BROWSER=none", "ARGS=--ip=0.0.0.0").stdout
    assert "--port 9000" in plan
    assert "--headless" in plan
    assert "--ip=0.0.0.0" in plan
    assert "--role instructor" in make("-n", "instructor").stdout


def test_a_missing_python_is_one_line():
    done = make("lab", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "There is no no-such-python: install Python 3.11" in done.stdout
