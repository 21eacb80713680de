"""`pip install .` gives a `lib` that works outside the checkout, and nothing else."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
BUILD = "from setuptools import build_meta as b; print(b.build_wheel('wheel'))"
WORKS = """
import json
from pathlib import Path
import lib
from lib.bench.record import recall
from lib.kernels.core import tiles
from lib.models.course.files import WEIGHTS
from lib.models.load import load_model
from lib.data.text import PLAYS
assert Path(lib.__file__).parent == Path.cwd() / "site" / "lib", lib.__file__
assert recall("codebooks") and json.loads(tiles.TABLE.read_text()) and PLAYS
model, tokenizer = load_model("student")
print(lib.__version__, model.config.model_type, len(tokenizer("to be").input_ids) > 0)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built of a copy of what the checkout has."""
    copy = tmp_path_factory.mktemp("a checkout to build")
    hidden = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    shutil.copytree(ROOT / "lib", copy / "lib", ignore=hidden)
    for name in ("course", "tools"):  # beside lib, and no part of it
        (copy / name).mkdir()
        (copy / name / "__init__.py").write_text("")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    done = subprocess.run(
        [sys.executable, "-c", BUILD],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return copy / "wheel" / done.stdout.split()[-1]


def test_it_has_every_file_of_lib_and_one_name(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    files = {p.relative_to(ROOT).as_posix() for p in (ROOT / "lib").rglob("*")}
    files = {f for f in files if (ROOT / f).is_file() and "/__pycache__/" not in f}
    told = subprocess.run(
        ["git", "check-ignore", "--stdin"],
        input="\n".join(files),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    files -= set(told.stdout.split())
    assert len(files) > 300 and not files - names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"lib", f"llm_compression_from_scratch-{VERSION}.dist-info"}


def test_it_works_where_there_is_no_checkout(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TRITON")}
    done = subprocess.run(
        [sys.executable, "-c", WORKS],
        cwd=tmp_path,
        env=kept | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [VERSION, "llama", "True"]


def test_one_version_everywhere():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION), "semantic versions have three parts"
    assert cited["version"] == VERSION
    assert re.search(rf"`pyproject\.toml` is {re.escape(VERSION)}\b", changelog)
    assert {
        "cff-version",
        "message",
        "title",
        "type",
        "authors",
        "license",
    } <= cited.keys()
    assert "## [Unreleased]" in changelog


def test_no_installed_package_has_the_name_lib():
    """What the name costs: whoever else calls a package `lib` cannot have both."""
    owners = importlib.metadata.packages_distributions().get("lib", [])
    assert set(owners) <= {"llm-compression-from-scratch"}
