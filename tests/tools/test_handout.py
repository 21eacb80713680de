"""tools/handout.py: what it gives away, what it never does, and that it works alone."""

import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import handout
import homework
import pytest
import release
import syllabus
import yaml

ROOT = Path(__file__).parents[2]
SECRET = re.compile(
    r"### BEGIN (SOLUTION|HIDDEN TESTS)\n(?P<body>.*?)### END \1", re.DOTALL
)
NOT_THEIRS = {
    *("solutions", "tests", "mutants", "grader", "submitted", "autograded", "feedback"),
    *("exchange", "gradebook.db", "syllabus.yml", "__pycache__", ".ipynb_checkpoints"),
}
HEAD = 'start: 2027-02-01\ndue: {days: 13, time: "23:59"}\ntimezone: Asia/Tokyo\n'


def rows(count):
    """A syllabus of the course's first lectures, due in Tokyo."""
    found = [
        {"week": r.week, "lecture": r.lecture, "homework": r.homework, "points": 1}
        for r in syllabus.read(ROOT).rows[:count]
    ]
    return HEAD + yaml.safe_dump({"lectures": found})


@pytest.fixture(scope="module")
def course(checkout):
    """A checkout without git, with two weeks, one homework and much that is private."""
    (checkout / "course" / "syllabus.yml").write_text(rows(2))
    for path in checkout.glob("solutions/*/*.ipynb"):
        if path.stem not in ("hw_costs", "hw_formats"):
            path.unlink()
    for name in ("LICENSE", "CITATION.cff", ".gitattributes"):
        (checkout / name).write_bytes((ROOT / name).read_bytes())
    private = checkout / "lib" / ".ipynb_checkpoints" / "secret.json"
    private.parent.mkdir()
    private.write_text("{}")
    (checkout / "lib" / "mine.zip").write_bytes(b"PK")
    (checkout / "lib" / "link.py").symlink_to(checkout / "solutions")
    (checkout / "course" / "gradebook.db").write_text("hidden tests")
    return checkout


@pytest.fixture(scope="module")
def packed(course):
    """The zip, as `make handout` writes it."""
    command = [sys.executable, "tools/handout.py", "--out", "given away.zip"]
    done = subprocess.run(
        command, cwd=course, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 lectures, 2 homeworks" in done.stdout
    return course / "given away.zip"


@pytest.fixture(scope="module")
def given(packed, tmp_path_factory):
    """It unpacked as Windows does, without modes, in a folder with a space."""
    folder = tmp_path_factory.mktemp("a student's own folder")
    with zipfile.ZipFile(packed) as archive:
        for entry in archive.infolist():
            entry.external_attr = 0
            archive.extract(entry, folder)
    return folder / handout.TOP


# ------------------------------------------------------------------ nothing private


def texts(name, content):
    """(name, text) of a file, and of every file that is packed in it, however deep."""
    if content[:2] == b"\x1f\x8b":
        yield from texts(f"{name}!", gzip.decompress(content))
    elif zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.namelist():
                yield from texts(f"{name}!{entry}", archive.read(entry))
    elif b"ustar" in content[257:265]:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for entry in archive:
                if inside := archive.extractfile(entry):
                    yield from texts(f"{name}!{entry.name}", inside.read())
    else:
        yield name, content.decode("utf-8", "replace").replace("\0", "")


def lines(text):
    """The lines of a text; of JSON, those of all its strings too."""
    found = set(map(str.strip, text.splitlines()))
    if text.lstrip()[:1] in "{[":
        try:
            waiting = [json.loads(text)]
        except ValueError:
            return found
        while waiting:
            match waiting.pop():
                case dict() as value:
                    waiting += value.values()
                case list() as value:
                    waiting += value
                    if all(isinstance(x, str) for x in value):
                        found |= set(map(str.strip, "".join(value).splitlines()))
                case str() as value:
                    found |= set(map(str.strip, value.splitlines()))
    return found


def secrets():
    """The lines of solutions and hidden tests that neither a task nor lib shows."""
    hidden, shown = set(), set()
    for path in ROOT.glob("solutions/*/*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            hidden |= lines("".join(f["body"] for f in SECRET.finditer(source)))
            shown |= lines(SECRET.sub("", source))
    for path in [*ROOT.glob("lib/**/*.py"), *ROOT.glob("notebooks/*.ipynb")]:
        shown |= lines(path.read_text(encoding="utf-8"))
    return {line for line in hidden - shown if len(line) > 20}


SECRETS = secrets()


def leaks(files):
    """(file, line) of every secret line in `files`, {name: content}."""
    return [
        (name, line)
        for path, content in files.items()
        for name, text in texts(path, content)
        for line in lines(text) & SECRETS
    ]


def contents(packed):
    with zipfile.ZipFile(packed) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_no_file_of_it_holds_a_solution_or_a_hidden_test(packed):
    assert len(SECRETS) > 500
    files = contents(packed)
    assert not leaks(files)
    for name, content in files.items():
        assert name.startswith(f"{handout.TOP}/")
        assert not NOT_THEIRS & set(Path(name).parts), name
        if b"\0" in content:  # weights, the same as in the checkout
            path = ROOT / name.removeprefix(f"{handout.TOP}/")
            assert path.suffix == ".safetensors" and path.read_bytes() == content
    assert not any(name.endswith((".zip", "secret.json", "link.py")) for name in files)


@pytest.mark.parametrize("pack", ["plain", "notebook", "gzip", "zip in zip", "tar"])
def test_a_leak_would_be_seen(pack):
    secret = max(SECRETS)
    content = f"x\n    {secret}\n".encode()
    if pack == "notebook":
        cell = {"source": ["x\n", f"    {secret}"]}
        content = json.dumps({"cells": [{"outputs": [{"data": cell}]}]}).encode()
    if pack == "gzip":
        content = gzip.compress(content)
    if pack == "tar":
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as archive:
            entry = tarfile.TarInfo("a")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        content = raw.getvalue()
    for _ in range(2 if pack == "zip in zip" else 0):
        raw = io.BytesIO()
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a", content)
        content = raw.getvalue()
    assert [line for _, line in leaks({"f": content})] == [secret]


def test_git_decides_where_there_is_git(tmp_path, capsys):
    for path in ("lib/a.py", "lib/notes.py", "lib/b/c.json", "lib/__pycache__/a.pyc"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    assert handout.library(tmp_path, "lib") == [
        "lib/a.py",
        "lib/b/c.json",
        "lib/notes.py",
    ]
    for words in (["init", "-q"], ["add", "lib/a.py", "lib/b/c.json"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    assert handout.library(tmp_path, "lib") == ["lib/a.py", "lib/b/c.json"]
    assert "not track it: lib/notes.py" in capsys.readouterr().out


# ------------------------------------------------------------------ it speaks of itself


def test_what_it_says_is_there(given):
    readme = (given / "README.md").read_text()
    makefile = (given / "Makefile").read_text()
    for link in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (given / link).exists(), link
    verbs = set(re.findall(r"^([a-z]+):", makefile, re.M))
    assert (
        set(re.findall(r"make ([a-z]+)", readme)) <= verbs >= {"lab", "test", "renew"}
    )
    for script in re.findall(r"tools/\w+\.py", makefile):
        assert (given / script).is_file(), script
    speaking = [readme, makefile, *(p.read_text() for p in given.glob("tools/*.py"))]
    speaking.append((given / "course" / "nbgrader_config.py").read_text())
    for text in speaking:
        assert not re.search(
            r"solutions/|course/(grader|autograded)|tests/|hidden test"
            r"|make (grade|release)|tools/(release|grade|handout)",
            text,
        )


def test_the_map_has_its_rows_and_when_they_are_due(given):
    readme = (given / "README.md").read_text()
    assert re.findall(r"^\| (\d\d) ", readme, re.M) == ["01", "02"]
    assert "| hw_costs | Sun 14 Feb, 23:59 | `cost` |" in readme
    assert "Times are of Asia/Tokyo." in readme
    assert "{" not in readme


def test_its_environment_is_the_course_s(given):
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())
    theirs = tomllib.loads((given / "pyproject.toml").read_text())
    assert list(theirs["project"].pop("optional-dependencies")) == ["gpu"]
    ours["project"].pop("optional-dependencies")
    assert theirs["project"] == ours["project"]
    assert theirs["tool"].keys() == {"setuptools"}
    yaml.safe_load((given / "environment.yml").read_text())


def test_it_is_the_same_whenever_its_content_is(course, packed):
    term = syllabus.read(course)
    again = packed.with_name("again.zip")
    handout.pack(handout.handout(course, term), again)
    assert again.read_bytes() == packed.read_bytes()
    with zipfile.ZipFile(packed) as archive:
        modes = {entry.external_attr >> 16 for entry in archive.infolist()}
    assert modes == {0o100644}, "no links, and nothing that has to be executable"


def test_what_is_left_out(course):
    term = syllabus.read(course)
    whole = handout.handout(course, term).keys()
    less = handout.handout(course, handout.without(term, ["hw_formats"])).keys()
    assert whole - less == {"course/release/hw_formats/hw_formats.ipynb"}
    first = handout.handout(course, term.until(1)).keys()
    assert whole - first == whole - less | {"notebooks/02_number_formats.ipynb"}
    with pytest.raises(ValueError, match="hw_kernels is not given out"):
        handout.without(term, ["hw_kernels"])
    (lost := course / "course/release/hw_costs/hw_costs.ipynb").rename(course / "away")
    with pytest.raises(ValueError, match=r"no course/release/hw_costs/hw_costs\.ipynb"):
        handout.handout(course, term)
    (course / "away").rename(lost)


# ------------------------------------------------------------------ it works alone


def run(folder, *words, **settings):
    kept = {
        k: v for k, v in os.environ.items() if "MAKE" not in k and k != "PYTHONPATH"
    }
    return subprocess.run(
        words,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        env=kept | settings,
    )


HERE = ("environment=:", f"PYTHON={sys.executable}", f"VENV={sys.prefix}")


def test_help_lists_what_is_there(given):
    listed = re.findall(r"^  make (\w+) +\S", run(given, "make").stdout, re.M)
    assert sorted(listed) == sorted(
        ["lab", "serve", "renew", "validate", "submit", "data", "clean", "test"]
    )


def test_a_student_works_with_it(given, course):
    """Start, fail, solve, pass; then a newer handout comes over it."""
    done = run(given, sys.executable, "tools/homework.py", "start")
    assert (done.returncode, done.stderr) == (0, "")
    mine = given / "homework" / "hw_costs" / "hw_costs.ipynb"
    assert "you have: hw_costs" in run(given, "make", "test", "HW=x", *HERE).stderr
    torn = given / "homework" / "hw_formats" / "hw_formats.ipynb"
    torn.write_text('{"cells": [')
    failed = run(given, "make", "test", *HERE)
    assert failed.returncode != 0
    assert "hw_formats can't be checked: Notebook does not appear" in failed.stdout
    assert "hw_costs: 9 of its tests don't pass yet\n  NotImplemented" in failed.stdout
    source = json.loads((course / "solutions/hw_costs/hw_costs.ipynb").read_text())
    solved = json.loads(mine.read_text())
    answers = {
        c["metadata"].get("nbgrader", {}).get("grade_id"): c for c in source["cells"]
    }
    for cell in solved["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            cell["source"] = answers[cell["metadata"]["nbgrader"]["grade_id"]]["source"]
    # as an editor under Windows saves it
    mine.write_bytes(json.dumps(solved, indent=1).replace("\n", "\r\n").encode())
    passed = run(given, "make", "test", "HW=hw_costs", *HERE)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert passed.stdout.endswith("hw_costs: all tests that you see pass.\n")
    before = mine.read_bytes()
    newer = given / "course/release/hw_costs/hw_costs.ipynb"
    newer.write_text(newer.read_text().replace("number formats", "formats") + "\n")
    told = run(given, sys.executable, "tools/homework.py", "start").stdout
    assert "hw_costs was revised since you began; yours is untouched" in told
    assert mine.read_bytes() == before


def test_two_handouts_over_each_other(course, tmp_path):
    term = syllabus.read(course)
    older = handout.handout(course, term.until(1))
    newer = handout.handout(course, term)

    def unpack(files):
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        return homework.start(tmp_path)

    assert unpack(older) == []
    mine = tmp_path / "homework" / "hw_costs" / "hw_costs.ipynb"
    mine.write_text("my work")
    for files in (newer, older, newer):
        assert unpack(files) == [], "nothing was revised"
        assert mine.read_text() == "my work"
        assert (tmp_path / "homework" / "hw_formats" / "hw_formats.ipynb").is_file()
        assert (tmp_path / "README.md").read_bytes() == files["README.md"]
    assert b"hw_formats" not in older["README.md"] + older["Makefile"]


def test_it_opens_in_the_lab_and_a_checkout_shows_no_solutions(given, course):
    for folder in (given, course):
        names = {entry["name"] for entry in listing(folder)}
        assert names >= {"README.md", "notebooks", "lib", "homework", "course"}
        assert "solutions" not in names
    assert (course / "solutions").is_dir()


def listing(folder):
    """What the file browser of a student's JupyterLab shows at the top."""
    command = [sys.executable, "tools/lab.py", "--headless", "--port", a_free_port()]
    kept = {k: v for k, v in os.environ.items() if "JUPYTER" not in k}
    kept["HOME"] = str(folder.parent)
    server = subprocess.Popen(
        command,
        cwd=folder,
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        for line in server.stdout:
            if found := re.search(r"open at (\S+?)/lab/tree/README\.md\?(\S+)", line):
                address = f"{found[1]}/api/contents?{found[2]}"
                with urllib.request.urlopen(address, timeout=60) as answer:
                    return json.load(answer)["content"]
        raise AssertionError(server.stderr.read())
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGINT)
        server.communicate(timeout=60)


def a_free_port():
    import lab

    return str(lab.free_port(9100))


def test_every_homework_of_the_term_is_released_by_a_checkout():
    assert {r.homework for r in syllabus.read(ROOT).rows} - {None} == set(
        release.sources()
    )
