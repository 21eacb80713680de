"""A class in which some hand in what once stopped, slowed or misled everybody."""

import base64
import os
import struct
import zlib

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

FORGED = "[grader] this test is wrong: give 2 of 2"
MORE = {  # a cell of their own, which is shown
    "divs": new_markdown_cell("<div>" * 9_000),
    "entity": new_markdown_cell("&#xE000;0&#xE000; $x$"),
    "blanks": new_code_cell("x = 1" + " \n" * 200_000 + "y = 2"),
    "dots": new_code_cell("a." * 400_000 + "b"),
    "brackets": new_markdown_cell("[" * 50_000),
    "missing": new_markdown_cell("![image.png](attachment:image.png)"),
}
STAMPS = {  # handed in at noon in Berlin, or nobody knows
    "offset": ("2026-03-02 13:00:00 +0100", None),
    "abbreviated": ("2026-07-02 14:00:00 CEST", None),
    "pst": ("2026-03-02 12:00:00 PST", "'PST' means 2 zones"),
    "dotted": ("1.3.2026 12:00", "is no time as 2026-03-01 12:00:00 UTC is"),
    "steering": ("\x1b[2J\x1b[1A", "is no time as"),
}


def png(width, height):
    def chunk(kind, data):
        content = kind + data
        return struct.pack(">I", len(data)) + content + zlib.crc32(content).to_bytes(4)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * (width + 1))
    parts = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    picture = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
    return base64.b64encode(picture).decode()


def change(course, student, do):
    notebook = nbformat.read(course.path(student), as_version=4)
    do(notebook)
    nbformat.write(notebook, course.path(student))


def paste(course, student, picture):
    """A screenshot in the written answer, as JupyterLab pastes one."""

    def do(notebook):
        notebook.cells[4].source = "So: ![image.png](attachment:image.png)"
        notebook.cells[4].attachments = {"image.png": {"image/png": picture}}

    course.hand_in(student)
    change(course, student, do)


@pytest.fixture(scope="module")
def graded(course):
    """The class, and what `make grade` said of it."""
    course.hand_in("right")
    for student, cell in MORE.items():
        course.hand_in(student)
        change(course, student, lambda notebook, c=cell: notebook.cells.append(c))
    paste(course, "pasted", png(3, 1))
    paste(course, "huge", png(40_000, 40_000))
    course.hand_in("printer", f"print({FORGED!r}, '\\n', {FORGED!r}); return 0")
    course.hand_in("raiser", f"raise ValueError('no\\n{FORGED}')")
    course.hand_in("blocked")
    (course.folder / "autograded").mkdir(exist_ok=True)
    (course.folder / "autograded" / "blocked").write_text("in the way")
    course.hand_in(os.fsdecode(b"caf\xe9"))
    for student, (stamp, _) in STAMPS.items():
        course.hand_in(student, when=stamp)
    course.due("2026-03-02")
    return course.grade()


def page(course, student):
    return course.path(student, "feedback", "html").read_text()


def test_everyone_is_graded_but_who_cannot_be_written_down(course, graded):
    found = course.rows(graded.stdout)
    for student in ("right", "pasted", "huge", *MORE):
        assert found[student]["points"] == "3", student
        assert page(course, student).endswith("</html>\n")
    assert found["blocked"]["state"] == "failed"
    assert "2 failed" in graded.stdout, "a name that is no text is the other"
    assert graded.returncode == 1
    assert "Traceback" not in graded.stderr


def test_who_failed_is_tried_again(course, graded):
    (course.folder / "autograded" / "blocked").unlink()
    found = course.rows(course.grade("--student", "blocked").stdout)
    assert found["blocked"]["points"] == "3"


def test_a_pasted_picture_reaches_the_reader_and_the_student(course, graded):
    shown = f'src="data:image/png;base64,{png(3, 1)}"'
    assert shown in page(course, "pasted")
    notebook = nbformat.read(course.path("pasted", "autograded"), as_version=4)
    assert any(shown in cell.source for cell in notebook.cells)


@pytest.mark.parametrize("student", ["huge", "missing"])
def test_a_picture_that_cannot_be_shown_is_a_note(course, graded, student):
    assert "(not shown: image.png)" in page(course, student)
    assert "<img" not in page(course, student)


@pytest.mark.parametrize("student", ["printer", "raiser"])
def test_what_a_function_says_is_marked_as_the_student_s(course, graded, student):
    said = [line for line in page(course, student).splitlines() if FORGED in line]
    own = [line for line in said if "print(" not in line and "raise " not in line]
    assert own
    assert all("the student&#x27;s code | " in line for line in own), own


def test_what_is_stored_is_quick_to_show_in_the_formgrader(course, graded):
    for student in MORE:
        notebook = nbformat.read(course.path(student, "autograded"), as_version=4)
        for cell in notebook.cells:
            assert len(cell.source) < 400_000
            slow = cell.cell_type == "code" and len(cell.source) > 50_000
            assert not slow or cell.metadata.magics_language == "text"
            if cell.cell_type == "markdown" and cell.metadata.get("harmless"):
                assert "\n" not in cell.source
                assert "[" not in cell.source


@pytest.mark.parametrize("student", STAMPS)
def test_a_stamp_is_read_as_it_says_or_a_person_is_told(course, graded, student):
    row, note = course.rows(graded.stdout)[student], STAMPS[student][1]
    late = student == "abbreviated"
    assert row["points"] == ("0" if late else "3")
    assert (note is None and not row["reason"]) or note in row["reason"]
    assert "\x1b" not in graded.stdout


def test_a_due_date_that_moves_moves_the_penalties(course, graded):
    def stored():
        path = course.path("offset", "autograded")
        return path.stat().st_mtime_ns

    before = stored()
    course.due("2026-03-01")
    found = course.rows(course.grade("--student", "offset").stdout)
    assert found["offset"]["points"] == "0"
    assert "It came late, which costs 3 points" in page(course, "offset")
    course.due("2026-03-03")
    found = course.rows(course.grade("--student", "offset").stdout)
    assert found["offset"]["points"] == "3"
    assert "It came late" not in page(course, "offset")
    assert stored() == before, "nothing was graded again"
