"""An LMS's zip: every student's notebook arrives, nothing else does."""

import io
import json
import random
import stat
import unicodedata
import zipfile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.grader.judging.parsing import MAX_FILE
from course.grader.zips import collect
from course.grader.zips import entries as zip_entries
from course.grader.zips.collect import Options
from course.grader.zips.report import report
from course.grader.zips.students import read_table

NAME = "hw_x"
RELEASES = {
    NAME: frozenset({"setup", "double", "test_double", "why"}),
    "hw_other": frozenset({"setup", "halve", "test_halve"}),
}


def notebook(name=NAME, words="mine"):
    """A notebook with the grade ids of a homework, and some words of its own."""
    cells = [
        {
            "cell_type": "code",
            "source": words,
            "metadata": {"nbgrader": {"grade_id": g}},
        }
        for g in sorted(RELEASES.get(name, ()))
    ]
    plain = {"cell_type": "code", "source": words, "metadata": {}}
    return json.dumps({"cells": [*cells, plain]}).encode()


NOTEBOOK = notebook()
SCRATCH = notebook("none")


def entry(path, when=(2026, 1, 1, 0, 0, 0)):
    return zipfile.ZipInfo(path, when)


def zipped(path, entries, method=zipfile.ZIP_DEFLATED):
    """A zip with `entries`: {name or ZipInfo: bytes}."""
    with zipfile.ZipFile(path, "w", method) as bundle:
        for name, content in entries.items():
            bundle.writestr(name, content)
    return path


def taken(folder):
    """{student: content} of what was handed in, and that nothing else is there."""
    files = {path for path in folder.rglob("*") if path.is_file() or path.is_symlink()}
    found = {
        path: path.parents[1].name for path in folder.glob(f"*/{NAME}/{NAME}.ipynb")
    }
    assert files == found.keys()
    return {student: path.read_bytes() for path, student in found.items()}


@pytest.fixture
def gather(tmp_path):
    """Zip {name: bytes} and collect it: what came of it, and what lies there then."""

    def gather(entries, **options):
        archive = zipped(tmp_path / "lms.zip", entries)
        options = Options(releases=RELEASES, **options)
        found = collect.collect(archive, NAME, tmp_path / "submitted", options)
        return found, handed_in(tmp_path / "submitted")

    return gather


def handed_in(folder):
    """{student: content}, and {student: time} where there is one."""
    works = folder.glob(f"*/{NAME}/{NAME}.ipynb")
    return {path.parents[1].name: path.read_bytes() for path in works}


def stamps(folder):
    times = folder.glob(f"*/{NAME}/timestamp.txt")
    return {path.parents[1].name: path.read_text() for path in times}


@pytest.mark.parametrize(
    ("path", "student"),
    [
        ("Ada Lovelace_12345_assignsubmission_file/hw_x.ipynb", "Ada-Lovelace-12345"),
        ("Ada Lovelace_12345_assignsubmission_file_hw_x.ipynb", "Ada-Lovelace-12345"),
        ("HW 1/Ada_12_assignsubmission_file/my work (1).ipynb", "Ada-12"),
        ("lovelaceada_12345_67890_hw_x-1.ipynb", "lovelaceada-12345"),
        ("lovelaceada_LATE_12345_67890_hw_x.ipynb", "lovelaceada-12345"),
        ("submissions/lovelaceada_12345_67890_hw_x.ipynb", "lovelaceada-12345"),
        ("ada/hw_x.ipynb", "ada"),
        ("ada/hw_x/hw_x.ipynb", "ada"),
        ("class/ada/hw_x/hw_x.IPYNB", "ada"),
        ("class\\ada\\hw_x.ipynb", "ada"),
    ],
)
def test_the_name_tells_the_student(tmp_path, path, student):
    archive = zipped(tmp_path / "lms.zip", {path: NOTEBOOK})
    options = Options(releases=RELEASES)
    found = collect.collect(archive, NAME, tmp_path / "submitted", options)
    assert (found.students, found.refused) == ([student], [])
    assert taken(tmp_path / "submitted") == {student: NOTEBOOK}


def test_two_students_of_one_name_stay_two(tmp_path):
    names = [f"Kim Lee_{n}_assignsubmission_file/hw_x.ipynb" for n in (7, 8)]
    archive = zipped(tmp_path / "lms.zip", {name: name.encode() for name in names})
    collect.collect(archive, NAME, tmp_path / "submitted")
    assert taken(tmp_path / "submitted") == {
        "Kim-Lee-7": names[0].encode(),
        "Kim-Lee-8": names[1].encode(),
    }


def test_of_two_attempts_the_newest_counts_in_any_order(tmp_path):
    attempts = [
        (entry("ada/hw_x-1.ipynb", (2026, 3, 1, 12, 0, 0)), b"old"),
        (entry("ada/hw_x.ipynb", (2026, 3, 2, 12, 0, 0)), b"new"),
    ]
    for number in range(2):
        archive = zipped(tmp_path / f"{number}.zip", dict(attempts))
        collect.collect(archive, NAME, tmp_path / "submitted")
        assert taken(tmp_path / "submitted") == {"ada": b"new"}
        attempts.reverse()


def test_an_earlier_collection_s_time_is_not_kept(tmp_path):
    folder = tmp_path / "submitted" / "ada" / NAME
    folder.mkdir(parents=True)
    (folder / "timestamp.txt").write_text("2020-01-01 00:00:00 UTC")
    archive = zipped(tmp_path / "lms.zip", {"ada/hw_x.ipynb": NOTEBOOK})
    collect.collect(archive, NAME, tmp_path / "submitted")
    assert taken(tmp_path / "submitted") == {"ada": NOTEBOOK}


def link(path):
    info = entry(path)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (link("eve/hw_x.ipynb"), b"/etc/passwd", "it is a link"),
        ("eve/notes.txt", b"hello", "no notebook"),
        ("hw_x.ipynb", NOTEBOOK, "its name tells of no student"),
        ("../hw_x.ipynb", NOTEBOOK, "its name leads out of the zip"),
        ("///hw_x.ipynb", NOTEBOOK, "its name leads out of the zip"),
        ("eve/hw_x.ipynb", bytes(MAX_FILE + 1), "it unpacks to more than"),
    ],
)
def test_what_no_student_hands_in_is_refused_and_the_rest_is_taken(
    tmp_path, name, content, why
):
    archive = zipped(tmp_path / "lms.zip", {name: content, "ada/hw_x.ipynb": NOTEBOOK})
    found = collect.collect(archive, NAME, tmp_path / "submitted")
    assert taken(tmp_path / "submitted") == {"ada": NOTEBOOK}
    ((_, told),) = found.refused + found.skipped
    assert why in told


def test_an_entry_that_holds_more_than_it_says_is_refused(tmp_path):
    archive = zipped(tmp_path / "lms.zip", {"eve/hw_x.ipynb": bytes(1 << 20)})
    size = (1 << 20).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(size, (10).to_bytes(4, "little")))
    found = collect.collect(archive, NAME, tmp_path / "submitted")
    assert found.students == []
    assert "it cannot be read" in dict(found.over)["eve/hw_x.ipynb"]
    assert "it cannot be read" in found.missing["eve"]


def test_an_encrypted_entry_is_refused(tmp_path):
    both = {"eve/hw_x.ipynb": NOTEBOOK, "ada/hw_x.ipynb": NOTEBOOK}
    archive = zipped(tmp_path / "lms.zip", both)
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory
    archive.write_bytes(content)
    found = collect.collect(archive, NAME, tmp_path / "submitted")
    assert found.refused == [("eve/hw_x.ipynb", "it is encrypted")]
    assert found.students == ["ada"]


def test_no_zip_is_said(tmp_path):
    (tmp_path / "lms.zip").write_text("<html>Please log in</html>")
    with pytest.raises(ValueError, match=r"lms\.zip is no zip that can be read"):
        collect.collect(tmp_path / "lms.zip", NAME, tmp_path / "submitted")
    with pytest.raises(ValueError, match="No such file"):
        collect.collect(tmp_path / "none.zip", NAME, tmp_path / "submitted")


def test_more_entries_than_a_class_has_are_no_class_s(tmp_path, monkeypatch):
    monkeypatch.setattr(zip_entries, "MAX_ENTRIES", 3)
    archive = zipped(tmp_path / "lms.zip", {f"s{n}/hw_x.ipynb": b"" for n in range(4)})
    with pytest.raises(ValueError, match="4 entries"):
        collect.collect(archive, NAME, tmp_path / "submitted")


@given(st.lists(st.text(max_size=60).map(lambda text: text + ".ipynb"), max_size=5))
def test_no_name_leads_out_of_the_folder(tmp_path_factory, names):
    root = tmp_path_factory.mktemp("zip")
    names = [name for name in dict.fromkeys(names) if "\0" not in name]
    archive = zipped(root / "lms.zip", dict.fromkeys(names, NOTEBOOK))
    try:
        found = collect.collect(archive, NAME, root / "submitted")
    except ValueError:
        assert not (root / "submitted").exists()
        return
    assert set(taken(root / "submitted")) == set(found.students)
    assert {path.name for path in root.iterdir()} <= {"lms.zip", "submitted"}


@given(st.integers(0, 2**32))
def test_a_damaged_zip_is_refused_never_a_crash(tmp_path_factory, seed):
    root, rng = tmp_path_factory.mktemp("zip"), random.Random(seed)
    buffer = io.BytesIO()
    zipped(buffer, {f"s{n}/hw_x.ipynb": rng.randbytes(50) for n in range(3)})
    content = bytearray(buffer.getvalue())
    for _ in range(rng.randrange(1, 6)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    (root / "lms.zip").write_bytes(content)
    try:
        found = collect.collect(root / "lms.zip", NAME, root / "submitted")
    except ValueError:
        return
    assert set(taken(root / "submitted")) == set(found.students)


# ------------------------------------------------------------------ nobody's files


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


# ------------------------------------------------------------------ which of two


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


# ------------------------------------------------------------------ attempts and times


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


# ------------------------------------------------------------------ who is who


ALIKE = [
    ("Zoë", "Zoé"),
    ("Müller", "Möller"),
    ("ada_l", "ada-l"),
    ("Ada", "ada"),
    ("a" * 80 + "1", "a" * 80 + "2"),
    ("王" * 60 + "伟", "王" * 60 + "芳"),
    ("Ada Lovelace", "Ada-Lovelace"),
    ("O'Brien", "O Brien"),
    ("a+b", "a*b"),
]


@pytest.mark.parametrize("pair", ALIKE)
def test_two_students_never_become_one(gather, pair):
    works = {f"{name}/hw_x.ipynb": notebook(words=name) for name in pair}
    found, handed = gather(works)
    assert sorted(handed.values()) == sorted(works.values())
    assert len({name.casefold() for name in handed}) == 2
    assert (found.missing, found.refused) == ({}, [])


@pytest.mark.parametrize(
    "name", ["王伟", "Zoë", "Müller", "ada_l", "अदिति", "ada@uni.de"]
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_of_any_script_is_kept(gather, name, form):
    path = unicodedata.normalize(form, f"{name}/hw_x.ipynb")
    _, works = gather({path: NOTEBOOK})
    assert works == {unicodedata.normalize("NFC", name): NOTEBOOK}


def test_a_mac_s_names_are_utf8_though_they_do_not_say_so(tmp_path):
    archive = zipped(tmp_path / "lms.zip", {"Zoë/hw_x.ipynb": NOTEBOOK})
    content = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x01\x02", 9), (b"PK\x03\x04", 7)):
        content[content.index(mark) + offset] &= ~0x08  # the flag of UTF-8
    archive.write_bytes(content)
    collect.collect(archive, NAME, tmp_path / "submitted")
    assert handed_in(tmp_path / "submitted") == {"Zoë": NOTEBOOK}


def test_two_owners_of_one_folder_are_an_error_that_names_both(gather):
    found, works = gather(
        {
            "a/ada/hw_x.ipynb": NOTEBOOK,
            "b/ada/hw_x.ipynb": notebook(words="other"),
            "b/bob/hw_x.ipynb": NOTEBOOK,
        }
    )
    assert list(works) == ["bob"]
    why = "'a/ada' and 'b/ada' have one folder, ada: NAMES= parts them"
    assert found.missing == {"a/ada": why, "b/ada": why}


FORGED = [
    "Bob_2_assignsubmission_file_hw_x.ipynb",
    "bob_2_3_hw_x.ipynb",
    "anon_bobby_3_hw_x.ipynb",
    "HW_bob_attempt_2026-03-01-23-59-59_hw_x.ipynb",
    "1-2 - Bob - Mar 1, 2026 1159 PM - hw_x.ipynb",
    "Bob_2_assignsubmission_file_/hw_x.ipynb",
    "Bob_Bob_bob_2/hw_x.ipynb",
]


REAL = [
    "{}/hw_x.ipynb",
    "{}_7_assignsubmission_file_{file}",
    "{}_7_assignsubmission_file/{file}",
    "{}_7_8_{file}",
    "HW_{}_attempt_2026-03-01-23-59-59_{file}",
    "1-2 - {} - Mar 1, 2026 1159 PM/{file}",
    "Last_First_{}_7/{file}",
]


@pytest.mark.parametrize(
    ("real", "forged"),
    [(r, f) for r in REAL for f in FORGED if "/" in r or "/" not in f],
)
def test_a_file_s_own_name_claims_nobody_else_s_folder(gather, real, forged):
    names = ("bob", "cy", "dora")
    works = {real.format(n, file="hw_x.ipynb"): NOTEBOOK for n in names}
    theirs = real.replace("hw_x.ipynb", "{file}").format("eve", file=forged)
    found, handed = gather(works | {theirs: notebook(words="forged")})
    eve = [student for student in handed if "eve" in student.lower()]
    others = {s: work for s, work in handed.items() if s not in eve}
    assert set(others.values()) == {NOTEBOOK}
    assert len(others) == 3, found


# ------------------------------------------------------------------ teams and tables


TEAM = "multi_feedback_HW_1_9/Team 12"


def test_each_member_of_a_team_that_the_zip_names_is_credited(tmp_path):
    archive = tmp_path / "lms.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr(f"{TEAM}/Lovelace_Ada_ada_1/hw_x.ipynb", NOTEBOOK)
        bundle.writestr(f"{TEAM}/Turing_Alan_alan_2/", b"")
        bundle.writestr("multi_feedback_HW_1_9/Wei_Wang_wang_3/hw_x.ipynb", NOTEBOOK)
        bundle.writestr("multi_feedback_HW_1_9/Gone_Joe_joe_4/", b"")
    found = collect.collect(archive, NAME, tmp_path / "submitted")
    members = {"Lovelace_Ada_ada_1", "Turing_Alan_alan_2"}
    assert set(handed_in(tmp_path / "submitted")) == members | {"Wei_Wang_wang_3"}
    assert found.notes == []


def test_a_team_that_the_zip_does_not_name_is_one_until_a_table_says(gather, tmp_path):
    works = {f"{TEAM}/hw_x.ipynb": NOTEBOOK}
    found, handed = gather(works)
    assert handed == {"Team-12": NOTEBOOK}
    assert "NAMES= says who else is in it" in found.notes[0]
    names = tmp_path / "names.csv"
    names.write_text("name,student\nTeam 12,ada\nTeam 12,alan\n")
    found, handed = gather(works, table=read_table(names))
    assert set(found.students) == {"ada", "alan"}
    assert found.notes == [
        "1 in course/submitted are from before, not from this zip, and stay: Team-12"
    ]


def test_a_table_says_who_somebody_is_by_any_of_their_names(gather, tmp_path):
    names = tmp_path / "names.csv"
    names.write_text(  # as Excel writes it in half of Europe
        "\ufeffname;student\r\nAda Lovelace;ada\r\n12;bob\r\nZoë_13;zoe\r\n"
    )
    entries = {
        f"{who}_assignsubmission_file/hw_x.ipynb": NOTEBOOK
        for who in ("Ada Lovelace_11", "Kim Lee_12", "Zoë_13", "Kim Lee_14")
    }
    found, handed = gather(entries, table=read_table(names))
    assert set(handed) == {"ada", "bob", "zoe", "Kim-Lee-14"}
    assert "Kim Lee is there under the numbers 12, 14" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("who,student\n", "first line must be name,student"),
        ("name,student\nada\n", "line 2"),
        ("name,student\nada,../eve\n", "line 2"),
        ("name,student\nada,\n", "line 2"),
    ],
)
def test_a_table_that_cannot_be_used_names_its_line(tmp_path, text, why):
    (tmp_path / "names.csv").write_text(text)
    with pytest.raises(ValueError, match=why):
        read_table(tmp_path / "names.csv")


# ------------------------------------------------------------------ hostile zips


def bent(path, **facts):
    """An entry whose headers say what no honest one says."""
    info = entry(path)
    for name, value in facts.items():
        setattr(info, name, value)
    return info


HOSTILE = {
    "up": ("ada/../eve/hw_x.ipynb", NOTEBOOK, "leads out"),
    "absolute": ("/ada/hw_x.ipynb", NOTEBOOK, "leads out"),
    "drive": ("C:\\ada\\hw_x.ipynb", NOTEBOOK, "leads out"),
    "escape": ("eve/\x1b[2Jhw_x.ipynb", NOTEBOOK, "control characters"),
    "line": ("eve\nada: graded/hw_x.ipynb", NOTEBOOK, "control characters"),
    "turned": ("eve/\u202ebnypi.x_wh.ipynb", NOTEBOOK, "turn the text around"),
    "long": ("eve/" + "a" * 30_000 + ".ipynb", NOTEBOOK, "30,010 characters"),
    "device": (
        bent("eve/hw_x.ipynb", external_attr=(stat.S_IFBLK | 0o777) << 16),
        NOTEBOOK,
        "a device or a pipe",
    ),
    "bzip2": (
        bent("eve/hw_x.ipynb", compress_type=zipfile.ZIP_BZIP2),
        bytes(1 << 20),
        "unusual way",
    ),
    "empty": ("eve/hw_x.ipynb", b"", "0 bytes"),
    "bomb": ("eve/hw_x.ipynb", bytes(MAX_FILE + 1), "unpacks to more than"),
}


NOBODYS = [HOSTILE[key][0] for key in ("up", "absolute", "drive", "line", "long")]


@pytest.mark.parametrize(("name", "content", "why"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_entry_is_refused_and_harms_nobody_else_s(gather, name, content, why):
    found, works = gather({name: content, "ada/hw_x.ipynb": NOTEBOOK})
    assert works == {"ada": NOTEBOOK}
    ((_, told),) = found.refused
    assert why in told
    assert list(found.missing) == ([] if name in NOBODYS else ["eve"])
    assert report(found, Options(), verbose=True).replace("\n", "").isprintable()


def test_of_one_student_s_many_bombs_a_bounded_number_is_unpacked(gather, monkeypatch):
    monkeypatch.setattr(collect, "MAX_READ", 3 << 20)
    bombs = {f"eve/{n}/hw_x.ipynb": bytes([n]) * (1 << 20) for n in range(9)}
    found, works = gather(bombs | {f"{s}/hw_x.ipynb": NOTEBOOK for s in ("ada", "bob")})
    assert works == {"ada": NOTEBOOK, "bob": NOTEBOOK}
    assert sum("altogether" in why for _, why in found.over) == 6


def test_a_directory_of_a_million_entries_is_refused_before_it_is_read(tmp_path):
    header = bytearray(46)
    header[:4], header[28] = b"PK\x01\x02", 14
    directory = (bytes(header) + b"ada/hw_x.ipynb") * 1_000_000
    end = b"PK\x05\x06" + bytes(4) + b"\xff\xff\xff\xff"
    end += len(directory).to_bytes(4, "little") + bytes(6)
    (tmp_path / "lms.zip").write_bytes(directory + end)
    with pytest.raises(ValueError, match="directory is larger than any class's"):
        collect.collect(tmp_path / "lms.zip", NAME, tmp_path / "submitted")


def test_a_name_that_is_not_what_it_says_is_refused_alone(tmp_path):
    works = {"ada/hw_x.ipynb": NOTEBOOK, "eve/hw_é.ipynb": NOTEBOOK}
    archive = zipped(tmp_path / "lms.zip", works)
    archive.write_bytes(archive.read_bytes().replace("é".encode(), b"\xff\xfe"))
    found = collect.collect(archive, NAME, tmp_path / "submitted")
    assert found.students == ["ada"]
    assert "eve" in found.missing


def test_a_local_header_that_disagrees_is_refused_alone(tmp_path):
    works = {"ada/hw_x.ipynb": NOTEBOOK, "eve/hw_x.ipynb": NOTEBOOK}
    archive = zipped(tmp_path / "lms.zip", works)
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"eve/", b"ada/", 1))  # the local one is first
    found = collect.collect(archive, NAME, tmp_path / "submitted")
    assert found.students == ["ada"]
    assert "it cannot be read" in found.missing["eve"]


# ------------------------------------------------------------------ the words


def test_a_dry_run_writes_nothing_and_says_the_same(gather):
    works = {"ada/hw_x.ipynb": NOTEBOOK, "eve/hw_x.pdf": b"%PDF"}
    dry, handed = gather(works, dry_run=True)
    assert handed == {}
    wet, handed = gather(works)
    assert handed == {"ada": NOTEBOOK}
    assert dry == wet
    assert "Nothing was written" in report(dry, Options(dry_run=True))


def test_a_second_collection_says_what_it_changed(gather, tmp_path):
    gather({"ada/hw_x.ipynb": NOTEBOOK, "bob/hw_x.ipynb": NOTEBOOK})
    changed = {"ada/hw_x.ipynb": notebook(words="better"), "bob/hw_x.ipynb": NOTEBOOK}
    found, _ = gather(changed | {"cy/hw_x.ipynb": NOTEBOOK})
    assert "1 new, 1 replaced, 1 unchanged" in report(found, Options())


def test_the_report_counts_and_lists_all_that_needs_a_look(gather):
    works = {f"s{n}/hw_x.ipynb": NOTEBOOK for n in range(30)}
    over = {f"s{n}/scratch.ipynb": SCRATCH for n in range(30)}
    found, _ = gather(works | over | {"eve/hw_x.pdf": b"", "__MACOSX/x": b"noise"})
    text = report(found, Options())
    assert "Its naming scheme: plain folders (SCHEME=plain)" in text
    assert "  s0/hw_x.ipynb is s0's" in text
    assert "30 students collected for hw_x: 30 new" in text
    assert "  eve: hw_x.pdf: a PDF, no notebook" in text
    assert "  1 a Mac's own file, as __MACOSX/x" in text
    assert "  and 10 more: ARGS=--verbose" in text
    assert text.endswith("Now: make grade HW=hw_x")
    assert len(text.splitlines()) < 40
    every = report(found, Options(), verbose=True)
    assert all(f"s{n}: s{n}/hw_x.ipynb" in every for n in range(30))
    assert all(f"s{n}/scratch.ipynb: hw_x.ipynb counts" in every for n in range(30))
