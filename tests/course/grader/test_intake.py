"""Intake: an honest file loses nothing, any other is refused, none brings tests."""

import copy
import json
import os

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course.grader.judging import intake, parsing, places


def nbgrader(name, **kinds):
    kinds = {"grade": False, "solution": False, "locked": True, "task": False} | kinds
    return {"nbgrader": {"grade_id": name, "schema_version": 3, **kinds}}


def ours():
    """A release: imports, two exercises with a test each, a written question."""
    answer = {"solution": True, "locked": False}
    test = {"grade": True, "points": 2}
    stub = "def {0}(x):\n    # YOUR CODE HERE\n    raise NotImplementedError"
    nb = new_notebook(
        cells=[
            new_markdown_cell("# Homework", id="title"),
            new_code_cell("import math", id="imports"),
            new_code_cell(stub.format("f"), id="f", metadata=nbgrader("f", **answer)),
            new_code_cell("assert f(1) == 2", metadata=nbgrader("test_f", **test)),
            new_code_cell(stub.format("g"), id="g", metadata=nbgrader("g", **answer)),
            new_code_cell("assert g(1) == 3", metadata=nbgrader("test_g", **test)),
            new_markdown_cell(
                "*Your answer here.*",
                metadata=nbgrader("why", solution=True, grade=True, points=1),
            ),
        ]
    )
    nb.cells[3].id, nb.cells[5].id, nb.cells[6].id = "test_f", "test_g", "why"
    return nb


F, G = "def f(x):\n    return x + 1", "def g(x):\n    return x + 2"


def theirs():
    """The same, answered."""
    nb = ours()
    nb.cells[2].source, nb.cells[4].source = F, G
    nb.cells[6].source = "Because."
    return nb


def taken(nb):
    content = nb if isinstance(nb, bytes) else nbformat.writes(nb).encode()
    return intake.rebuild(ours(), parsing.parse(content))


def answers(result):
    """{grade_id: source} of what counts, and every code cell's source in order."""
    cells = result.notebook.cells
    named = {places.grade_id(c): c.source for c in cells if places.grade_id(c)}
    return named, [cell.source for cell in cells if cell.cell_type == "code"]


def is_ours(result):
    """Every named cell is ours: name, kind, points and tests, each once, in order."""
    release = [c for c in ours().cells if places.grade_id(c)]
    found = [c for c in result.notebook.cells if places.grade_id(c)]
    assert [c.metadata.nbgrader for c in found] == [
        c.metadata.nbgrader for c in release
    ]
    assert [c.cell_type for c in found] == [c.cell_type for c in release]
    for a, b in zip(found, release, strict=True):
        assert places.is_answer(b) or a.source == b.source
    rest = [c for c in result.notebook.cells if not places.grade_id(c)]
    assert all("nbgrader" not in cell.metadata for cell in rest)
    nbformat.validate(result.notebook)


# ------------------------------------------------------------------ honest but odd


def copied(nb):
    nb.cells.insert(2, copy.deepcopy(ours().cells[2]))
    nb.cells[2].id = "another"


def answered_in_a_copy(nb):
    nb.cells.insert(3, copy.deepcopy(nb.cells[2]))
    nb.cells[3].id, nb.cells[2].source = "another", ours().cells[2].source


def turned_to_markdown(nb):
    nb.cells[2].cell_type = "markdown"


def without_tests(nb):
    del nb.cells[5], nb.cells[3]


def with_empty_tests(nb):
    nb.cells[3].source = nb.cells[5].source = ""


def reordered(nb):
    nb.cells.reverse()


def names_lost(nb):
    for cell in nb.cells:
        cell.metadata = {}


def names_and_ids_lost(nb):
    for i, cell in enumerate(nb.cells):
        cell.metadata, cell.id = {"colab": {"x": 1}, "id": "a1"}, f"vscode{i}"


def helpers_added(nb):
    nb.cells.insert(2, new_code_cell("import random\ndef helper(): return 1"))
    nb.cells.insert(0, new_markdown_cell("my notes"))


def answer_cell_deleted_and_rewritten(nb):
    nb.cells[2] = new_code_cell(F)


def foreign_metadata(nb):
    nb.metadata = {"colab": {"name": "x"}, "vscode": {"y": []}}
    nb.cells[1].metadata["executionInfo"] = {"elapsed": 3}


ODD = [
    *(copied, answered_in_a_copy, turned_to_markdown, without_tests, with_empty_tests),
    *(reordered, names_lost, names_and_ids_lost, helpers_added, foreign_metadata),
    answer_cell_deleted_and_rewritten,
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.__name__)
def test_an_honest_but_odd_notebook_loses_nothing(odd):
    nb = theirs()
    odd(nb)
    result = taken(nb)
    named, code = answers(result)
    assert (named["f"], named["g"]) == (F, G)
    is_ours(result)
    if odd is helpers_added:
        assert code.index("import random\ndef helper(): return 1") < code.index(F)
    if odd is not names_and_ids_lost:
        assert named["why"] == "Because."


def encoded(change):
    return change(nbformat.writes(theirs()).encode())


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b"\xef\xbb\xbf" + b,
        lambda b: b.replace(b"\n", b"\r\n"),
        lambda b: b.replace(rb"return x + 1\n", b""),
        lambda b: json.dumps(json.loads(b), indent=None).encode(),
        lambda b: json.dumps(json.loads(b) | {"nbformat_minor": 2}).encode(),
    ],
    ids=["BOM", "CRLF", "plain", "one line", "older minor format"],
)
def test_an_odd_encoding_loses_nothing(change):
    named, _ = answers(taken(encoded(change)))
    assert (named["f"], named["g"]) == (F, G)


def test_notebook_format_3_is_read():
    cells = [
        {
            "cell_type": cell.cell_type,
            "input" if cell.cell_type == "code" else "source": cell.source.split("@"),
            "metadata": cell.metadata,
        }
        for cell in theirs().cells
    ]
    old = {"nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]}
    named, _ = answers(taken(json.dumps(old).encode()))
    assert (named["f"], named["g"], named["why"]) == (F, G, "Because.")


def test_line_ends_inside_a_source_become_plain():
    nb = theirs()
    nb.cells[2].source = F.replace("\n", "\r\n")
    assert answers(taken(nb))[0]["f"] == F


def test_of_several_answers_the_last_written_counts_and_all_run():
    nb = theirs()
    nb.cells.insert(3, copy.deepcopy(nb.cells[2]))
    nb.cells[3].id, nb.cells[3].source = "second", "def f(x):\n    return 2"
    result = taken(nb)
    named, code = answers(result)
    assert named["f"] == "def f(x):\n    return 2" and F in code
    assert any("2 times" in note for note in result.notes)
    is_ours(result)


def test_a_missing_answer_is_said_and_its_stub_stays():
    nb = theirs()
    del nb.cells[4]
    result = taken(nb)
    assert answers(result)[0]["g"] == ours().cells[4].source
    assert result.notes == ["the answer g is missing"]


# ------------------------------------------------------------------ not theirs to bring


def test_their_tests_points_and_metadata_are_not_taken():
    nb = theirs()
    nb.cells[3].source = "pass"
    nb.cells[3].metadata.nbgrader.points = 100
    nb.cells[2].metadata.nbgrader |= {"grade": True, "points": 50}
    nb.cells.append(
        new_code_cell("1", metadata=nbgrader("extra", grade=True, points=9))
    )
    nb.cells.append(new_code_cell("2", metadata=nbgrader("test_f", grade=True)))
    nb.cells[1].outputs = [nbformat.v4.new_output("stream", text="x" * 1000)]
    result = taken(nb)
    is_ours(result)
    assert all(not c.get("outputs") for c in result.notebook.cells)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"   \n", "empty"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"PK\x03\x04", "not JSON"),
        (b'{"cells": [', "cut off"),
        (b'"' + b'\\"' * 4_000_000, "JSON|cut off"),  # a text that has no end
        (b"[]", "no notebook"),
        (b"{}", "no cells"),
        (b'{"cells": {"a": 1}}', "no cells"),
        (b'{"cells": [1, "x", null]}', "no cells"),
        (b'{"cells": [], "cells": []}', "twice"),
        (b"[" * 50_000 + b"]" * 50_000, "too deep"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "too deep"),
        (json.dumps({"cells": [{}] * 1001}).encode(), "1,001 cells"),
        (json.dumps({"cells": [{"source": "x" * (1 << 21)}]}).encode(), "characters"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_no_notebook_is_refused_in_words(content, says):
    with pytest.raises(parsing.Rejected, match=says):
        taken(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
)
NAMES = st.sampled_from(["f", "g", "test_f", "why", "nobody", "title", ""]) | JSON
CELLS = st.fixed_dictionaries(
    {},
    optional={
        "cell_type": st.sampled_from(["code", "markdown", "raw", "heading"]) | JSON,
        "source": st.sampled_from([F, G, "assert True", "def f(: "]) | JSON,
        "input": JSON,
        "id": NAMES,
        "metadata": JSON
        | st.fixed_dictionaries({"nbgrader": JSON})
        | st.fixed_dictionaries(
            {"nbgrader": st.fixed_dictionaries({"grade_id": NAMES})}
        ),
        "outputs": JSON,
        "attachments": JSON,
    },
)
SOUP = st.fixed_dictionaries(
    {},
    optional={"cells": st.lists(CELLS | JSON, max_size=8) | JSON, "worksheets": JSON},
)


@given(JSON | SOUP)
@settings(max_examples=300)
def test_any_json_is_refused_or_becomes_our_notebook(tree):
    try:
        result = taken(json.dumps(tree).encode())
    except parsing.Rejected:
        return
    is_ours(result)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(content):
    with pytest.raises(parsing.Rejected):
        taken(content)


# ------------------------------------------------------------------ from disk


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "submitted" / "ada" / "hw"
    folder.mkdir(parents=True)
    return folder


def test_the_expected_file_is_taken_before_any_other(folder):
    (folder / "hw.ipynb").write_bytes(b"right")
    (folder / "hw-Copy1.ipynb").write_bytes(b"wrong")
    assert parsing.read_file(folder, "hw") == (b"right", [])


def test_a_renamed_file_is_taken_the_newest_of_several(folder):
    for age, name in enumerate(["HW (1).ipynb", "older.ipynb"]):
        (folder / name).write_bytes(name.encode())
        os.utime(folder / name, (1e9 - age, 1e9 - age))
    content, notes = parsing.read_file(folder, "hw")
    assert content == b"HW (1).ipynb" and "'HW (1).ipynb' was taken" in notes[0]


def link(folder, secret):
    (folder / "hw.ipynb").symlink_to(secret)


def hard_link(folder, secret):
    os.link(secret, folder / "hw.ipynb")


def pipe(folder, _):
    os.mkfifo(folder / "hw.ipynb")


def directory(folder, _):
    (folder / "hw.ipynb").mkdir()


def nothing(folder, _):
    (folder / "notes.txt").write_text("see my e-mail")


def too_large(folder, _):
    with (folder / "hw.ipynb").open("wb") as stream:
        stream.truncate(parsing.MAX_FILE + 1)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (link, "is a link"),
        (hard_link, "hard link"),
        (pipe, "no ordinary file"),
        (directory, "no ordinary file"),
        (nothing, "no notebook in it"),
        (too_large, "clear its outputs"),
    ],
    ids=lambda value: getattr(value, "__name__", "")[:20],
)
def test_what_is_no_plain_file_is_refused(folder, tmp_path, make, says):
    secret = tmp_path / "gradebook.db"
    secret.write_text("secret")
    make(folder, secret)
    with pytest.raises(parsing.Rejected, match=says):
        parsing.read_file(folder, "hw")


def test_a_linked_folder_is_refused(folder, tmp_path):
    (folder / "hw.ipynb").write_bytes(b"another student's")
    (tmp_path / "mine").symlink_to(folder)
    with pytest.raises(parsing.Rejected, match="link"):
        parsing.read_file(tmp_path / "mine", "hw")
