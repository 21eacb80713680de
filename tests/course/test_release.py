"""After a release nothing of a solution or a hidden test is left with a student."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOMEWORKS = sorted(path.stem for path in (ROOT / "solutions").glob("*/*.ipynb"))
assert HOMEWORKS, "there is nothing to release"
SECRET = re.compile(
    r"### BEGIN (SOLUTION|HIDDEN TESTS)\n(?P<body>.*?)### END \1", re.DOTALL
)


def strings(content):
    """Every string in a JSON value: sources, outputs, metadata, attachments."""
    if isinstance(content, str):
        return [content]
    children = content.values() if isinstance(content, dict) else content
    if isinstance(content, dict | list):
        return [text for child in children for text in strings(child)]
    return []


def read(path):
    """All that a file tells: a notebook's strings, another file's text."""
    text = path.read_text()
    return "".join(strings(json.loads(text))) if path.suffix == ".ipynb" else text


def secret_lines(source):
    """The lines that a solution or hidden test has, and no hint or other cell shows."""
    hidden = "".join(found["body"] for found in SECRET.finditer(source))
    shown = SECRET.sub("", source)
    lines = {line.strip() for line in hidden.splitlines()}
    return {line for line in lines if len(line) > 12 and line not in shown}


def leaks(source, released):
    """What of the secrets in the text `source` can be read in the text `released`."""
    markers = re.findall(r"(?:BEGIN|END) (?:SOLUTION|HIDDEN)", released)
    return markers + sorted(line for line in secret_lines(source) if line in released)


@pytest.fixture(scope="module")
def released(checkout):
    """The copy of the course, after `make lab` would have prepared it."""
    subprocess.run(
        [sys.executable, "tools/homework.py", "start"],
        cwd=checkout,
        check=True,
        timeout=300,
        capture_output=True,
    )
    return checkout


@pytest.mark.parametrize("name", HOMEWORKS)
@pytest.mark.parametrize("folder", ["course/release", "homework"])
def test_nothing_secret_is_left(released, folder, name):
    source = read(ROOT / "solutions" / name / f"{name}.ipynb")
    assert secret_lines(source), "the scan has nothing to look for: it would never fail"
    files = [p for p in (released / folder / name).rglob("*") if p.is_file()]
    assert files
    for path in files:
        assert not leaks(source, read(path))


@pytest.mark.parametrize("name", HOMEWORKS)
def test_a_release_has_stubs_and_no_outputs(released, name):
    path = released / "course" / "release" / name / f"{name}.ipynb"
    notebook = json.loads(path.read_text())
    stubs = []
    for cell in notebook["cells"]:
        meta = cell["metadata"].get("nbgrader", {})
        assert not cell.get("outputs")
        if meta.get("solution") and cell["cell_type"] == "code":
            stubs.append("".join(cell["source"]))
    assert stubs, "no answer was found to look at"
    assert all("raise NotImplementedError" in stub for stub in stubs)


def test_a_leak_would_be_seen():
    source = (
        "def f(x):\n    ### BEGIN SOLUTION\n    return clever('x')(x)\n"
        "    ### END SOLUTION\nassert f(1) == 1\n"
    )
    stub = "def f(x):\n    raise NotImplementedError\nassert f(1) == 1\n"
    assert leaks(source, stub) == []
    assert leaks(source, stub + "# return clever('x')(x)") == ["return clever('x')(x)"]
    assert leaks(source, stub + "### END SOLUTION") == ["END SOLUTION"]
