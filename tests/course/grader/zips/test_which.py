"""Which file is the homework, and which of several attempts counts."""

import zipfile
from zoneinfo import ZoneInfo

import pytest
from lms import NAME, NOTEBOOK, SCRATCH, entry, handed_in, notebook, stamps

from course.grader.zips import collect
from course.grader.zips.collect import Options
from course.grader.zips.report import report

MOODLE = "Ada Lovelace_1_assignsubmission_file"


def test_a_mac_s_own_files_replace_nobody_s_work(gather):
    found, works = gather(
        {
            f"{MOODLE}/hw_x.ipynb": NOTEBOOK,
            f"__MACOSX/{MOODLE}/._hw_x.ipynb": b"\0\5\x16\7noise",
            f"__MACOSX/._{MOODLE}": b"\0\5\x16\7noise",
            f"{MOODLE}/._hw_x.ipynb": b"\0\5\x16\7noise",
            f"{MOODLE}/.DS_Store": b"noise",
            f"{MOODLE}/Thumbs.db": b"noise",
        }
    )
    assert works == {"Ada-Lovelace-1": NOTEBOOK}
    assert len(found.skipped) == 5
    assert {why for _, why in found.skipped} == {
        "a Mac's own file",
        "a system's own file",
    }
    assert (found.refused, found.missing) == ([], {})


@pytest.mark.parametrize(
    ("beside", "why"),
    [
        ("scratch.ipynb", "hw_x.ipynb counts"),
        (".ipynb_checkpoints/hw_x-checkpoint.ipynb", "Jupyter's own copy"),
        ("hw_x (1).ipynb", "hw_x.ipynb counts"),
        ("old/hw_x.ipynb", "ada/hw_x.ipynb counts"),
        ("hw_other.ipynb", "of another homework"),
        ("hw_other/work.ipynb", "of another homework"),
        ("hw_x.pdf", "a PDF, no notebook"),
        ("hw_x.zip", "an archive, not opened: ask for the notebook itself"),
    ],
)
def test_what_lies_beside_the_homework_replaces_nothing_and_is_said(
    gather, beside, why
):
    newer = entry(f"ada/{beside}", (2026, 3, 1, 0, 0, 0))
    found, works = gather({newer: notebook(words="no"), "ada/hw_x.ipynb": NOTEBOOK})
    assert works == {"ada": NOTEBOOK}
    assert found.skipped + found.over == [(f"ada/{beside}", why)]


def test_no_folder_of_a_system_or_another_homework_becomes_a_student(gather):
    found, works = gather(
        {
            "ada/hw_x.ipynb": NOTEBOOK,
            ".ipynb_checkpoints/hw_x-checkpoint.ipynb": NOTEBOOK,
            "hw_other/hw_other.ipynb": notebook("hw_other"),
            "__MACOSX/hw_x.ipynb": NOTEBOOK,
        }
    )
    assert (list(works), found.missing) == (["ada"], {})
    assert len(found.skipped) == 3


@pytest.mark.parametrize("name", ["work.ipynb", "hw_x (1).ipynb", "hw_x.ipynb.txt"])
def test_a_notebook_of_another_name_is_known_by_its_grade_ids(gather, name):
    found, works = gather({f"ada/{name}": NOTEBOOK, "ada/scratch.ipynb": SCRATCH})
    assert works == {"ada": NOTEBOOK}
    assert found.taken[0].notes == (f"ada/{name} was taken, by its grade ids",)
    assert found.over == [
        ("ada/scratch.ipynb", "not named hw_x.ipynb, and without its grade ids")
    ]


def test_a_name_alone_does_not_make_it_the_homework(gather):
    found, works = gather(
        {
            "ada/my hw_x.ipynb": SCRATCH,
            "bob/mine.ipynb": notebook("hw_other"),
            "cy/hw_x.ipynb": NOTEBOOK,
        }
    )
    assert works == {"cy": NOTEBOOK}
    assert "without its grade ids" in found.missing["ada"]
    assert "it is hw_other, by its grade ids" in found.missing["bob"]


def test_the_exact_name_counts_even_with_other_grade_ids_and_that_is_said(gather):
    other = notebook("hw_other")
    found, works = gather({"ada/hw_x.ipynb": other, "ada/work.ipynb": NOTEBOOK})
    assert works == {"ada": other}
    assert found.taken[0].notes == ("it has the grade ids of hw_other",)
    assert found.over == [("ada/work.ipynb", "hw_x.ipynb counts")]


def test_two_that_could_both_be_it_are_not_told_apart_by_age(gather):
    newer = entry("ada/b.ipynb", (2026, 3, 1, 0, 0, 0))
    found, works = gather(
        {
            newer: notebook(words="b"),
            "ada/a.ipynb": notebook(words="a"),
            "bob/hw_x.ipynb": NOTEBOOK,
            "cy/a.ipynb": NOTEBOOK,
            "cy/b.ipynb": NOTEBOOK,
        }
    )
    assert set(works) == {"bob", "cy"}
    told = found.missing["ada"]
    assert "ada/b.ipynb and ada/a.ipynb differ, and each could be it" in told
    assert ("cy/b.ipynb", "the same once more") in found.over


def test_of_two_entries_of_one_name_the_last_counts_and_it_is_said(tmp_path):
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(tmp_path / "lms.zip", "w") as bundle,
    ):
        bundle.writestr("ada/hw_x.ipynb", notebook(words="first"))
        bundle.writestr("ada/hw_x.ipynb", NOTEBOOK)
    found = collect.collect(tmp_path / "lms.zip", NAME, tmp_path / "submitted")
    assert handed_in(tmp_path / "submitted") == {"ada": NOTEBOOK}
    why = "the zip has this name again: the last counts"
    assert found.over == [("ada/hw_x.ipynb", why)]


ATTEMPTS = {
    "brightspace": "123-456 - Ada Lovelace - Mar {day}, 2026 1159 PM/{file}",
    "brightspace, flat": "123-456 - Ada Lovelace - Mar {day}, 2026 1159 PM - {file}",
    "brightspace, British": "123-456 - Ada Lovelace - {day} March 2026 1159 PM/{file}",
    "blackboard": "HW 1_ada_attempt_2026-03-0{day}-23-59-00_{file}",
    "blackboard, in German": "HW_1_ada_Versuch_2026-03-0{day}-23-59-00_{file}",
}


@pytest.mark.parametrize("name", ATTEMPTS.values(), ids=ATTEMPTS)
@pytest.mark.parametrize("days", [(1, 2), (2, 1)])
def test_of_a_student_s_attempts_the_last_counts_with_its_time(
    gather, tmp_path, name, days
):
    works = {1: notebook(words="old"), 2: NOTEBOOK}
    attempts = {name.format(day=day, file="hw_x.ipynb"): works[day] for day in days}
    found, handed = gather(attempts, zone=ZoneInfo("Europe/Berlin"))
    (student,) = found.students
    assert handed == {student: NOTEBOOK}
    assert stamps(tmp_path / "submitted") == {student: "2026-03-02T22:59:00+00:00"}
    assert [why for _, why in found.over] == ["an earlier attempt"]
    assert student in ("ada", "Ada-Lovelace-123")


def test_a_last_attempt_without_a_notebook_does_not_take_the_one_before(gather):
    name = ATTEMPTS["brightspace"]
    found, works = gather(
        {
            name.format(day=1, file="hw_x.ipynb"): NOTEBOOK,
            name.format(day=2, file="hw_x.pdf"): b"%PDF",
            name.format(day=3, file="hw_x.ipynb"): b"",
        }
    )
    assert works == {"Ada-Lovelace-123": NOTEBOOK}
    (note,) = found.taken[0].notes
    assert (
        "no notebook that counts in the attempt of Mar 3, 2026 1159 PM, Mar 2" in note
    )
    assert "the one of Mar 1, 2026 1159 PM was taken" in note


def test_of_canvas_s_uploads_the_last_counts(gather):
    found, works = gather(
        {
            "lovelaceada_1_103_hw_x-1.ipynb": NOTEBOOK,
            "lovelaceada_1_102_hw_x.ipynb": notebook(words="old"),
            "lovelaceada_1_104_scratch.ipynb": SCRATCH,
        }
    )
    assert works == {"lovelaceada-1": NOTEBOOK}
    assert set(found.over) == {
        ("lovelaceada_1_102_hw_x.ipynb", "an earlier upload"),
        ("lovelaceada_1_104_scratch.ipynb", "hw_x.ipynb counts"),
    }


def test_what_canvas_marks_late_is_said(gather, tmp_path):
    found, _ = gather({"lovelaceada_LATE_1_2_hw_x.ipynb": NOTEBOOK})
    assert found.late == ["lovelaceada-1"]
    assert "1 are late, says the platform" in report(found, Options())
    assert stamps(tmp_path / "submitted") == {}


@pytest.mark.parametrize("when", ["1. mars 2026 2359", "Feb 30, 2026 1159 PM"])
def test_a_time_that_cannot_be_read_is_a_note(gather, tmp_path, when):
    found, works = gather({f"1-2 - Zoë - {when}/hw_x.ipynb": NOTEBOOK})
    assert list(works) == ["Zoë-1"]
    assert found.taken[0].notes == (
        f"its time '{when}' can't be read: it counts as in time",
    )
    assert stamps(tmp_path / "submitted") == {}


def test_attempts_of_unreadable_times_are_in_the_zip_s_order_and_it_is_said(gather):
    older = entry("1-2 - Zoë - 1. mars 2026 2359/hw_x.ipynb", (2026, 3, 1, 1, 0, 0))
    newer = entry("1-2 - Zoë - 2. mars 2026 2359/hw_x.ipynb", (2026, 3, 2, 1, 0, 0))
    found, works = gather({newer: NOTEBOOK, older: notebook(words="old")})
    assert works == {"Zoë-1": NOTEBOOK}
    assert "in the order of the zip's own times" in found.taken[0].notes[0]


def test_the_entries_times_count_where_the_instructor_says_so(gather, tmp_path):
    when = entry("ada/hw_x.ipynb", (2026, 7, 1, 12, 0, 0))
    none = entry("bob/hw_x.ipynb", (1980, 1, 1, 0, 0, 0))
    zone = ZoneInfo("America/New_York")
    found, _ = gather({when: NOTEBOOK, none: NOTEBOOK}, entry_times=True, zone=zone)
    assert stamps(tmp_path / "submitted") == {"ada": "2026-07-01T16:00:00+00:00"}
    notes = {taken.student: taken.notes for taken in found.taken}
    assert notes["bob"] == ("its time in the zip can't be read: it counts as in time",)


def test_a_time_is_one_that_nbgrader_reads(gather, tmp_path):
    from nbgrader.utils import parse_utc

    gather({"HW_ada_attempt_2026-03-01-23-59-59_hw_x.ipynb": NOTEBOOK})
    assert parse_utc(stamps(tmp_path / "submitted")["ada"]).year == 2026
