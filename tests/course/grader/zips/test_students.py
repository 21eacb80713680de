"""Who a zip's names are: no two students become one, and teams are credited."""

import unicodedata
import zipfile

import pytest
from lms import NAME, NOTEBOOK, handed_in, notebook, zipped

from course.grader.zips import collect
from course.grader.zips.students import read_table

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
