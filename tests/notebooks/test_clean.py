"""What is committed is clean: one form, nothing of a machine, linted, formatted."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("notebooks", ROOT / "tools/notebooks.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)
NOTEBOOKS = list(tool.find([str(ROOT / "notebooks"), str(ROOT / "solutions")]))


def test_lectures_and_homeworks_are_found():
    assert {path.parts[-2] for path in NOTEBOOKS} > {"notebooks", "hw_quantization"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_clean(path):
    found = list(tool.complaints(path))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("verb", [["check"], ["format", "--check"]], ids=" ".join)
def test_code_cells_pass_ruff(verb):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *verb, "notebooks", "solutions"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
