"""A lecture that nbval passes prints today what it shows; little is forgiven."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbval.plugin import get_sanitize_patterns

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LECTURES = sorted((ROOT / "notebooks").glob("*.ipynb"))
PATTERNS = get_sanitize_patterns((HERE / "sanitize.cfg").read_text())


def compare(path):
    return subprocess.run(
        [sys.executable, HERE / "compare.py", path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_a_lecture_prints_what_it_shows(path):
    done = compare(path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


# --------------------------------------------------------------- the rules themselves


def sanitized(text):
    for pattern, replacement in PATTERNS:
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize(
    ("stored", "fresh"),
    [
        ("3.14159", "3.14169"),
        ("0.000123456", "0.000123999"),
        ("29.0417", "29.0488"),
        ("1234.567", "1234.9"),
        ("6.02214e-23 J", "6.02299e-23 J"),
        ("[0.12345, -5.4321]", "[0.12355, -5.4399]"),
        ("took 1.2 s", "took 11 ms"),
        ("measured 31.5 tokens/s", "measured 29 tokens/s"),
        ("<function f at 0x7f00aa>", "<function f at 0x7f00bb>"),
    ],
)
def test_late_digits_timings_and_addresses_are_forgiven(stored, fresh):
    assert sanitized(stored) == sanitized(fresh)


@pytest.mark.parametrize(
    ("stored", "fresh"),
    [
        ("15 levels", "16 levels"),
        ("3,311,616 h", "3,311,617 h"),
        ("3.14159", "3.24159"),
        ("3.14159", "4.14159"),
        ("0.000123", "0.000124"),
        ("0.00123", "0.0123"),
        ("29.0417", "29.1417"),
        ("1234.5", "1235.5"),
        ("6.02e-23", "6.02e-24"),
        ("-1.5", "1.5"),
        ("0x40490fdb", "0x40490fdc"),
        ("0 10000 1001001000", "0 10000 1001001001"),
        ("latency 4.10 ms", "latency 5.10 ms"),
        ("took 3 steps", "took 4 steps"),
        ("nan", "inf"),
    ],
)
def test_a_wrong_number_is_not_forgiven(stored, fresh):
    assert sanitized(stored) != sanitized(fresh)


NUMBER = "print(20 * 1.23456)"
STDERR_AND_WIDGET = (
    "import sys, ipywidgets\n"
    "print('50%', file=sys.stderr)\n"
    "ipywidgets.interact(lambda x: print(x), x=3);"
)
CELLS = [  # source, stored output, passes
    (NUMBER, "24.69\n", True),
    (NUMBER, "24.79\n", False),
    (NUMBER, "24.69\nextra\n", False),
    (NUMBER, "", False),
    (STDERR_AND_WIDGET, "", True),
    ("1 + 1;", "", True),
    ("1 / 0", "", False),
]


def test_nbval_judges_by_these_rules(tmp_path):
    nb = new_notebook()
    for count, (source, shown, _) in enumerate(CELLS, 1):
        outputs = [new_output("stream", name="stdout", text=shown)] if shown else []
        cell = new_code_cell(source, outputs=outputs, execution_count=count)
        nb.cells.append(cell)
    nbformat.write(nb, tmp_path / "x.ipynb")
    done = compare(tmp_path / "x.ipynb")
    failed = {int(i) for i in re.findall(r"^FAILED .*::Cell (\d+)", done.stdout, re.M)}
    assert failed == {i for i, cell in enumerate(CELLS) if not cell[2]}, done.stdout
