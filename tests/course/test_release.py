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


def run(checkout, *words):
    return subprocess.run(
        [sys.executable, *words],
        cwd=checkout,
        check=True,
        timeout=1800,
        capture_output=True,
        text=True,
    ).stdout


@pytest.fixture(scope="module")
def released(checkout):
    """The copy of the course, after `make lab` would have prepared it."""
    run(checkout, "tools/homework.py", "start")
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


def long_secrets(name):
    """A homework's long secret lines, which nothing else says, as they are in files."""
    source = read(ROOT / "solutions" / name / f"{name}.ipynb")
    told = [SECRET.sub("", read(path)) for path in ROOT.glob("solutions/*/*.ipynb")]
    elsewhere = "".join(told + [p.read_text() for p in ROOT.glob("course/**/*.py")])
    lines = [x for x in secret_lines(source) if len(x) > 40 and x not in elsewhere]
    return [form.encode() for x in lines for form in (x, json.dumps(x)[1:-1])]


def test_no_file_that_is_made_holds_a_hidden_test(released):
    folders = ("course", "homework")  # all that is written to; solutions/ has them
    files = [path for name in folders for path in (released / name).rglob("*.*")]
    contents = {path: path.read_bytes() for path in files if path.is_file()}
    for name in HOMEWORKS:
        lines = long_secrets(name)
        assert lines, "the scan has nothing to look for: it would never fail"
        leaked = {(p, x) for p, c in contents.items() for x in lines if x in c}
        assert not leaked


def test_a_leak_would_be_seen():
    source = (
        "def f(x):\n    ### BEGIN SOLUTION\n    return clever('x')(x)\n"
        "    ### END SOLUTION\nassert f(1) == 1\n"
    )
    stub = "def f(x):\n    raise NotImplementedError\nassert f(1) == 1\n"
    assert leaks(source, stub) == []
    assert leaks(source, stub + "# return clever('x')(x)") == ["return clever('x')(x)"]
    assert leaks(source, stub + "### END SOLUTION") == ["END SOLUTION"]


def test_an_instructor_s_release_tells_the_gradebook_and_changes_nothing(released):
    """Runs last: a gradebook holds all tests."""
    notebooks = sorted(released.glob("course/release/*/*.ipynb"))
    before = [path.read_bytes() for path in notebooks]
    code = "import release; print(release.release(gradebook=True))"
    for stale in (HOMEWORKS, []):
        said = run(released, "-c", f"import sys; sys.path[0] = 'tools'; {code}")
        assert said.splitlines()[-1] == str(stale)
    assert [path.read_bytes() for path in notebooks] == before
    database = (released / "course" / "gradebook.db").read_bytes()
    assert all(any(x in database for x in long_secrets(name)) for name in HOMEWORKS)
