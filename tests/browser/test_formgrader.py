"""An instructor reads what a hostile student handed in, marks it, and returns it."""

import re
import sqlite3
from contextlib import closing

import pytest
from pages import Grading

NAME, HOSTILE = "hw_formats", "demo-hostile"
COMMENT = "Two formats, yes: but say what each is for. $2^{-9} < 2^{-2}$"
ROW = re.compile(rf"^(demo-\w+) +{NAME} +(\S+) +(\S+) +(\w+(?: \w+)*)", re.MULTILINE)


@pytest.fixture(scope="module")
def checkout(checkout):
    """The course, and in the made-up class everything that a page could run."""
    demo = checkout / "course" / "grader" / "demo.py"
    traps = (
        "<script>document.title='taken over'</script>"
        "<img src=x onerror=alert(1)><svg onload=alert(2)></svg>"
        "<a href=javascript:alert(3)>solution</a><iframe srcdoc='<script>alert(4)'>"
        r"$\href{javascript:alert(5)}{x}$"
    )
    line = next(x for x in demo.read_text().splitlines() if x.startswith("SCRIPT = "))
    demo.write_text(demo.read_text().replace(line, f"SCRIPT = {traps!r}"))
    return checkout


@pytest.fixture
def instructor(make, page):
    with make.serve("instructor", page) as lab:
        yield lab


@pytest.fixture
def dialogs(page):
    """What the page made the browser say."""
    said = []

    def dismiss(dialog):
        said.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    return said


def submission_of(checkout, student):
    """The formgrader's name for a submission: it keeps students' names to itself."""
    with closing(sqlite3.connect(checkout / "course" / "gradebook.db")) as database:
        ((found,),) = database.execute(
            "select n.id from submitted_notebook n join submitted_assignment a "
            "on n.assignment_id = a.id where a.student_id = ?",
            (student,),
        )
    return found


def test_a_hostile_notebook_is_read_marked_and_returned(
    make, instructor, page, browser, checkout, dialogs
):
    rows = {row[0]: row[1:] for row in ROW.findall(make("class", f"HW={NAME}"))}
    assert rows["demo-perfect"] == ("11", "12", "to be read")
    assert rows["demo-odd"] == rows["demo-perfect"]
    assert float(rows[HOSTILE][0]) < float(rows["demo-perfect"][0])
    assert rows["demo-torn"][2] == "rejected"
    assert rows["demo-quitter"][2] == "stopped"

    instructor.open_map()
    listed = instructor.open_formgrader().submissions(NAME)
    assert f"{rows[HOSTILE][0]} / 12" in listed.row_of(HOSTILE)
    submission = Grading(instructor, submission_of(checkout, HOSTILE))
    page.wait_for_timeout(1000)  # for what would run late
    assert "solution" in submission.words(), "its text is there to be read"
    assert page.title() != "taken over"
    assert not dialogs
    submission.mark("why_two_formats", 0.5)
    submission.comment("why_two_formats", COMMENT)
    assert not dialogs

    assert "\n1 pages of feedback are new" in "\n" + make("feedback", f"HW={NAME}")
    feedback = checkout / "course" / "feedback" / HOSTILE / NAME / f"{NAME}.html"
    context = browser.new_context(offline=True)
    asked = []
    try:
        theirs = context.new_page()
        theirs.on("request", lambda request: asked.append(request.url))
        theirs.on("dialog", lambda dialog: (dialogs.append(1), dialog.dismiss()))
        theirs.goto(feedback.as_uri())
        theirs.wait_for_timeout(500)
        comment = theirs.locator(".comment", has_text="but say what each is for")
        assert comment.locator("math").count() == 1, "mathematics is drawn"
        assert "0.5 of 1" in theirs.locator("table.points").inner_text()
        assert theirs.title() == f"{NAME}: {HOSTILE}"
    finally:
        context.close()
    assert not dialogs
    assert asked == [feedback.as_uri()], "the page needs nothing but itself"
