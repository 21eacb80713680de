"""The Makefile: its help is complete, and it picks the right environment."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = {"VENV", "PYTHON", "PORT", "ROLE", "STUDENT", "BROWSER", "ARGS"}
SETTINGS |= {"PYTHONPATH", "PYTHONSAFEPATH"}
VERBS = {"lab", "test", "release", "submit", "grade", "instructor", "notebooks", "lint"}


def make(*arguments, folder=ROOT, **variables):
    # `make test VENV=...` hands its settings down to what it runs, these tests too.
    kept = {
        key: value
        for key, value in os.environ.items()
        if "MAKE" not in key and key not in SETTINGS
    }
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=kept | variables,
        capture_output=True,
        text=True,
        timeout=1200,
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
    assert f"--venv '{venv}' " in plan


def test_the_lab_takes_a_port_flags_and_no_browser():
    plan = make("-n", "lab", "PORT=9000", "BROWSER=none", "ARGS=--ip=0.0.0.0").stdout
    assert "--port '9000'" in plan
    assert "--headless" in plan
    assert "--ip=0.0.0.0" in plan
    assert "--role instructor" in make("-n", "instructor").stdout


def test_a_missing_python_is_one_line():
    done = make("lab", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "There is no no-such-python: install Python 3.11" in done.stdout


# A checkout whose path has what a shell or make would take for its own

NAME = """my 'Kürs' "1" & $HOME (x) * ;"""
ALL = sorted(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.M))
TOLD = 'for x; do printf "%s\\n" "$x"; done >> "$RECORD"\n'


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / NAME
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    return folder


@pytest.mark.parametrize("verb", ALL)
def test_every_verb_runs_where_a_path_has_spaces_and_quotes(folder, verb):
    assert len(ALL) > 15
    programs = folder / "bin"
    programs.mkdir()
    for name in ("python", "ruff"):
        (programs / name).write_text(f'#!/bin/sh\necho "$0" >> "$RECORD"\n{TOLD}')
        (programs / name).chmod(0o755)
    mine = {"PYTHON": f"{programs}/python", "VENV": str(folder), "ZIP": f"{folder}/z"}
    given = [f"{key}={value.replace('$', '$$')}" for key, value in mine.items()]
    record = folder / "record"
    record.touch()
    done = make(verb, *given, folder=folder, RECORD=str(record))
    assert (done.returncode, done.stderr) == (0, "")
    words = record.read_text().splitlines()
    assert all(NAME in word for word in words if word.startswith("/")), words
    if verb not in ("help", "submit", "clean"):
        assert words[words.index("--venv") + 1] == str(folder)
    if verb == "collect":
        assert words[words.index("--zip") + 1] == f"{folder}/z"


def test_a_homework_is_released_and_handed_in_there(folder):
    for name in ("tools", "course", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    for generated in ("release", "submitted", "gradebook.db"):
        shutil.rmtree(folder / "course" / generated, ignore_errors=True)
    source = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
    (folder / "solutions" / "hw_x").mkdir(parents=True)
    (folder / "solutions" / "hw_x" / "hw_x.ipynb").write_text(json.dumps(source))
    (folder / "notebooks").mkdir()
    here = ["environment=:", f"PYTHON={sys.executable}", f"VENV={sys.prefix}"]
    verbs = ["release"], ["renew", "HW=hw_x"], ["submit", "STUDENT=ada"], ["clean"]
    said = {verb[0]: make(*verb, *here, folder=folder) for verb in verbs}
    shutil.rmtree(folder / "solutions" / "hw_x")
    said["lint"] = make("lint", *here, folder=folder)
    for done in said.values():
        assert done.returncode == 0, done.stdout + done.stderr
    assert "Released hw_x." in said["release"].stdout
    assert "Handed in hw_x as ada." in said["submit"].stdout
    assert (folder / "course" / "submitted" / "ada" / "hw_x" / "hw_x.ipynb").exists()
    assert not (folder / "course" / "release").exists()


# Another Python's settings


def test_a_person_s_pythonpath_reaches_no_verb_and_the_lab_says_so(tmp_path):
    (tmp_path / "subprocess.py").write_text("raise RuntimeError('mine')")
    theirs = {"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    shows = f"environment={sys.executable} -c 'import subprocess, os; {SHOW}'"
    said = make("lab", shows, f"PYTHON={sys.executable}", "bin=:", **theirs).stdout
    assert said.splitlines()[:2] == [
        "PYTHONPATH is passed over: the course has packages of its own. "
        f"Yours: {tmp_path}",
        f"{ROOT} None",
    ]
    assert "passed over" not in make("-n", "lab", PYTHONPATH=str(ROOT)).stdout


SHOW = 'get = os.environ.get; print(get("PYTHONPATH"), get("PYTHONSAFEPATH"))'
