"""What several folders of tests share: a copy of the course that a test may dirty."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("course", "notebooks", "solutions", "tools", "Makefile", "README.md")
FOR_THE_ENVIRONMENT = ("constraints.txt", "environment.yml", "pyproject.toml")
GENERATED = shutil.ignore_patterns(
    *("release", "submitted", "autograded", "feedback", "exchange"),
    *("gradebook.db", ".nbgrader.log", ".ipynb_checkpoints", "__pycache__"),
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A fresh copy of what students and instructors use, without anything generated."""
    copy = tmp_path_factory.mktemp("checkout") / "course"
    copy.mkdir()
    for name in COPIED + FOR_THE_ENVIRONMENT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=GENERATED)
        elif source.exists():
            shutil.copy(source, copy / name)
    return copy
