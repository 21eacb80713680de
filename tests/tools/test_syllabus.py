"""course/syllabus.yml: what the map says, what the notebooks give, when work is due."""

import datetime
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import release
import syllabus

ROOT = Path(__file__).parents[2]
TERM = syllabus.read(ROOT)
HEAD = 'start: 2027-02-01\ndue: {days: 13, time: "23:59"}\ntimezone: Europe/Berlin\n'
ROWS = """lectures:
  - {week: 1, lecture: 01_a, homework: hw_a, points: 4, bonus: 1}
  - {week: 1, lecture: 02_b}
  - {week: 8, lecture: 03_c, homework: hw_c, points: 2.5, due: "2027-05-01 12:00"}
  - {week: 9, lecture: 04_d, homework: hw_d, points: 1}
"""


def term(folder, text):
    (folder / "course").mkdir(exist_ok=True)
    (folder / "course" / "syllabus.yml").write_text(text)
    return syllabus.read(folder)


def test_the_map_has_the_syllabus_s_rows():
    readme = (ROOT / "README.md").read_text()
    rows = re.findall(
        r"^\| \d\d \| \[.*?\]\(notebooks/(.*?)\.ipynb\) \|(.*?)\|", readme, re.M
    )
    said = [(lecture, homework.strip() or None) for lecture, homework in rows]
    assert said == [(row.lecture, row.homework) for row in TERM.rows]


@pytest.mark.parametrize("row", [r for r in TERM.rows if r.homework], ids=str)
def test_points_are_the_notebook_s(row):
    path = ROOT / "solutions" / row.homework / f"{row.homework}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    marks = [cell["metadata"].get("nbgrader", {}) for cell in cells]
    worth = {m["grade_id"]: m["points"] for m in marks if m.get("grade")}
    bonus = sum(p for grade_id, p in worth.items() if grade_id.startswith("bonus"))
    assert (sum(worth.values()) - bonus, bonus) == (row.points, row.bonus)


def test_every_homework_and_lecture_is_in_the_term():
    assert sorted(r.homework for r in TERM.rows if r.homework) == release.sources()
    lectures = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert sorted(row.lecture for row in TERM.rows) == lectures


def test_a_due_date_counts_weeks_and_summer_time(tmp_path):
    due = term(tmp_path, HEAD + ROWS).due_dates()
    assert list(due) == ["hw_a", "hw_c", "hw_d"]
    zones = [datetime.UTC] * 3  # Berlin is one hour ahead in winter, two in summer
    assert due["hw_a"] == datetime.datetime(2027, 2, 14, 22, 59, tzinfo=zones[0])
    assert due["hw_c"] == datetime.datetime(2027, 5, 1, 10, 0, tzinfo=zones[1])
    assert due["hw_d"] == datetime.datetime(2027, 4, 11, 21, 59, tzinfo=zones[2])


def test_without_a_start_nothing_is_due_but_what_has_a_date(tmp_path):
    text = (HEAD + ROWS).replace("start: 2027-02-01", "start:")
    assert list(term(tmp_path, text).due_dates()) == ["hw_c"]


def test_later_weeks_and_names_can_be_left_out(tmp_path):
    whole = term(tmp_path, HEAD + ROWS)
    assert [row.lecture for row in whole.until(8).rows] == ["01_a", "02_b", "03_c"]
    assert whole.until(None) == whole == whole.until(9)
    less = whole.less({"02_b", "hw_d"})
    assert [row.homework for row in less.rows] == ["hw_a", "hw_c", None]
    for week in (0, 10, -1):
        with pytest.raises(ValueError, match=f"week {week} .* weeks 1 to 9"):
            whole.until(week)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("start: 2027-02-01", "start: 2027-02-02", "is a Tuesday"),
        ("start: 2027-02-01", "start: soon", "start is 'soon'"),
        ("start: 2027-02-01", "begin: 2027-02-01", "has begin; known"),
        ('"23:59"', "23:59", "due.time is 1439: write it in quotes"),
        ('"23:59"', '"24:00"', "due.time is '24:00'"),
        ("days: 13", "days: true", "due.days is True"),
        ("Europe/Berlin", "Berlin", "timezone 'Berlin' is none"),
        ("Europe/Berlin", "../../etc/passwd", "timezone"),
        ("lecture: 02_b", "lecture: 01_a", "01_a is in .* twice"),
        ("hw_c", "hw_a", "hw_a is in .* twice"),
        ("week: 8", "week: 0", "03_c is in week 0"),
        ("week: 9", "week: 2", "04_d goes back to week 2"),
        ("points: 4", "points: -4", "hw_a has points"),
        ("points: 4", "points: true", "hw_a has points"),
        ("points: 4", "point: 4", "01_a has point; known"),
        (
            "lecture: 02_b",
            "lecture: 02_b, points: 1",
            "02_b has points, and no homework",
        ),
        ('"2027-05-01 12:00"', '"1 May"', "due '1 May'"),
        ("lecture: 02_b", "title: 02_b", "names no lecture"),
        ("lectures:", "lectures: [", "can't be read"),
    ],
)
def test_what_cannot_be_right_is_said(tmp_path, old, new, says):
    assert (HEAD + ROWS).count(old) == 1
    with pytest.raises(ValueError, match=says):
        term(tmp_path, (HEAD + ROWS).replace(old, new))


def test_an_empty_or_missing_file_is_said(tmp_path):
    for text in ("", "- 1", HEAD, HEAD + "lectures: []"):
        with pytest.raises(ValueError, match=r"syllabus\.yml"):
            term(tmp_path, text)
    with pytest.raises(ValueError, match="can't be read"):
        syllabus.read(tmp_path / "nowhere")


def due_dates(root):
    with sqlite3.connect(root / "course" / "gradebook.db") as database:
        return dict(database.execute("select name, duedate from assignment"))


def test_the_gradebook_takes_the_dates_and_keeps_one_set_by_hand(checkout):
    for name in release.sources(checkout)[1:]:
        (checkout / "solutions" / name / f"{name}.ipynb").unlink()
    (name,) = release.sources(checkout)
    file = checkout / "course" / "syllabus.yml"
    silent = file.read_text()
    code = "import release; release.release(gradebook=True)"
    command = [sys.executable, "-c", f"import sys; sys.path[0] = 'tools'; {code}"]
    stamps = checkout / "course" / "release" / ".stamps.json"

    def first():
        subprocess.run(command, cwd=checkout, check=True, timeout=600)

    def instructor(run=lambda: release.set_due_dates(checkout, stamps)):
        run()
        return due_dates(checkout)[name]

    assert instructor(first) is None, "a term without a start has no dates"
    week = next(row.week for row in TERM.rows if row.homework == name)
    file.write_text(silent.replace("start:", "start: 2027-02-01"))
    day = datetime.date(2027, 2, 1) + datetime.timedelta(7 * (week - 1) + 13)
    assert instructor() == f"{day} 23:59:00.000000"
    with sqlite3.connect(checkout / "course" / "gradebook.db") as database:
        database.execute("update assignment set duedate = '2030-01-01 00:00:00.000000'")
    assert instructor().startswith("2030"), "set by hand, and the syllabus is as it was"
    file.write_text(silent.replace("start:", "start: 2027-02-08"))
    assert instructor() == f"{day + datetime.timedelta(7)} 23:59:00.000000"
