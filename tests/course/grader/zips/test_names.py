"""How a zip's names are read: one scheme a zip, whose a path is, times, folders."""

import unicodedata
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.grader.zips.entries import shown
from course.grader.zips.reading import decide
from course.grader.zips.schemes import KEYS, PLATFORMS
from course.grader.zips.students import MAX_BYTES, MAX_LETTERS, folder_name
from course.grader.zips.times import moment, stamp, zone_of


def read(paths, scheme=None):
    """(scheme, {path: owner}) of a zip with these notebooks."""
    parts = [tuple(path.split("/")) for path in paths]
    reading = decide(parts, "hw_x", scheme)
    claims = {"/".join(path): reading.claim(path) for path in parts}
    return reading.key, {path: claim and claim.owner for path, claim in claims.items()}


@pytest.mark.parametrize("platform", PLATFORMS, ids=KEYS[:-1])
def test_each_platform_s_example_is_its_own_and_no_other_s(platform):
    key, owners = read([platform.example])
    assert key == platform.key
    assert None not in owners.values()


ZIPS = {
    "a group before the name": (
        ["Group 1-Ada L_1_assignsubmission_file/hw_x.ipynb"],
        ["Group 1-Ada L_1"],
    ),
    "Moodle in a folder": (
        [f"HW 1/{n}_assignsubmission_file/hw_x.ipynb" for n in ("A_1", "B_2")],
        ["A_1", "B_2"],
    ),
    "Moodle, blind, translated": (
        ["Teilnehmer_in_7_assignsubmission_file_hw_x.ipynb"],
        ["Teilnehmer_in_7"],
    ),
    "Canvas, late and not": (
        ["lovelaceada_LATE_1_8_hw_x.ipynb", "wangwei_2_9_hw_x.ipynb"],
        ["lovelaceada_1", "wangwei_2"],
    ),
    "Canvas's group": (["team_one_1_8_hw_x.ipynb"], ["team_one_1"]),
    "Canvas, anonymous": (
        ["LATE_anon_aB3xY_8_hw_x.ipynb", "anon_Zz9aa_9_hw_x.ipynb"],
        ["anon_aB3xY", "anon_Zz9aa"],
    ),
    "Blackboard, underscores": (
        [
            f"HW_1 a_{user}_attempt_2026-03-01-23-59-59_hw_x.ipynb"
            for user in ("ada_l", "ada-l", "bob")
        ],
        ["ada_l", "ada-l", "bob"],
    ),
    "Blackboard, translated": (
        ["HW_ada_tentativa de entrega_2026-03-01-23-59-59_my_work_2.ipynb"],
        ["ada"],
    ),
    "Brightspace": (
        [
            "1-9 - Ada Lovelace - Mar 1, 2026 1159 PM/hw_x.ipynb",
            "2-9 - Anne-Marie Lee - 1 March 2026 959 AM - my - hw_x.ipynb",
            "3-9 - Zoë - 1. mars 2026 2359/hw_x.ipynb",
        ],
        ["1 - Ada Lovelace", "2 - Anne-Marie Lee", "3 - Zoë"],
    ),
    "ILIAS, and a title that looks like a student": (
        [f"Sheet_1_of_3/Abgaben/L_F_{n}/hw_x.ipynb" for n in ("ada_1", "bob_2")],
        ["L_F_ada_1", "L_F_bob_2"],
    ),
    "ILIAS's teams": (
        [
            "multi_feedback_HW_1_9/Team 12/L_Ada_ada_1/hw_x.ipynb",
            "multi_feedback_HW_1_9/Team 13/hw_x.ipynb",
            "multi_feedback_HW_1_9/W_Wang_wang_3/hw_x.ipynb",
        ],
        ["Team 12", "Team 13", "W_Wang_wang_3"],
    ),
    "plain, deeper than most": (
        ["ada/hw_x.ipynb", "bob/hw_x.ipynb", "cy/mine/hw_x.ipynb"],
        ["ada", "bob", "cy"],
    ),
    "plain, an older one below": (
        ["ada/hw_x.ipynb", "ada/old/hw_x.ipynb"],
        ["ada"] * 2,
    ),
    "plain, in groups": (
        ["g1/ada/hw_x.ipynb", "g1/bob/hw_x.ipynb", "g2/cy/hw_x.ipynb"],
        ["g1/ada", "g1/bob", "g2/cy"],
    ),
    "plain, many folders of one": (
        [f"eve/{n}/hw_x.ipynb" for n in range(9)]
        + ["ada/hw_x.ipynb", "bob/hw_x.ipynb"],
        ["eve"] * 9 + ["ada", "bob"],
    ),
    "plain, a stray on top": (
        ["hw_x.ipynb", "ada/hw_x.ipynb", "bob/hw_x.ipynb"],
        [None, "ada", "bob"],
    ),
    "Moodle, a stray on top": (
        ["hw_x.ipynb", *(f"{n}_assignsubmission_file/a.ipynb" for n in ("A_1", "B_2"))],
        [None, "A_1", "B_2"],
    ),
}


@pytest.mark.parametrize(("paths", "owners"), ZIPS.values(), ids=ZIPS)
def test_whose_a_path_is(paths, owners):
    assert list(read(paths)[1].values()) == owners


ERRORS = {
    "none fits": (["ada.ipynb", "bob.ipynb"], "No naming scheme fits this zip"),
    "nothing in it": ([], "There is no notebook in this zip"),
    "two fit": (
        [f"anon_12345_{n}_hw_x.ipynb" for n in (67890, 67891)],
        "Two naming schemes fit",
    ),
    "some of each": (
        ["lovelaceada_1_2_hw_x.ipynb", "bob/hw_x.ipynb"],
        "Some of this zip is named as Canvas does",
    ),
    "a folder or a name": (["eve/bob_1_2_hw_x.ipynb"], "can be read in two ways"),
    "uneven": (["g1/ada/hw_x.ipynb", "bob/hw_x.ipynb"], "at different depths"),
}


@pytest.mark.parametrize(("paths", "why"), ERRORS.values(), ids=ERRORS)
def test_where_no_one_scheme_fits_the_error_gives_examples(paths, why):
    with pytest.raises(ValueError, match=why) as error:
        read(paths)
    assert not paths or paths[0] in str(error.value)


def test_the_scheme_can_be_said():
    paths = [f"anon_12345_{n}_hw_x.ipynb" for n in (67890, 67891)]
    assert read(paths, "canvas")[0] == "canvas"
    assert read(paths, "canvas-anonymous")[0] == "canvas-anonymous"
    assert read(["eve/bob_1_2_hw_x.ipynb"], "plain")[1].popitem()[1] == "eve"
    mixed = ["lovelaceada_1_2_hw_x.ipynb", "bob/hw_x.ipynb", "cy/hw_x.ipynb"]
    assert list(read(mixed, "canvas")[1].values()) == ["lovelaceada_1", None, None]
    with pytest.raises(ValueError, match="none of moodle, canvas"):
        read(mixed, "webct")
    with pytest.raises(ValueError, match="named as moodle names them"):
        read(mixed, "moodle")


@given(st.lists(st.lists(st.text(max_size=20), min_size=1, max_size=4), max_size=6))
def test_any_paths_are_read_or_refused(paths):
    try:
        reading = decide([tuple(path) for path in paths], "hw_x")
    except ValueError:
        return
    for path in paths:
        reading.claim(tuple(path))


ENDLESS = ["_1", "_a", "_a a", " - 1", "- 2026", "_1_1_1x", "a_attempt_2026-", "1", "_"]


@pytest.mark.parametrize("piece", ENDLESS)
def test_no_name_takes_a_pattern_long(piece):
    for start in ("", "1-2 - ", "a_b_"):
        name = (start + piece * 1_000)[:1_000]
        for _ in range(100):
            for platform in PLATFORMS:
                platform.read((name, "hw_x.ipynb"))
                platform.read((name,))


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-03-01-23-59-59", "2026-03-01T22:59:59+00:00"),
        ("Mar 1, 2026 1159 PM", "2026-03-01T22:59:00+00:00"),
        ("March 1, 2026 11:59 pm", "2026-03-01T22:59:00+00:00"),
        ("1 July 2026 959 AM", "2026-07-01T07:59:00+00:00"),
        ("Mar 1, 2026 1200 AM", "2026-02-28T23:00:00+00:00"),
        ("Mar 1, 2026 1200 PM", "2026-03-01T11:00:00+00:00"),
        ("2026-03-01 2359", "2026-03-01T22:59:00+00:00"),
        ("Oct 25, 2026 0230", "2026-10-25T00:30:00+00:00"),  # twice: the earlier
    ],
)
def test_a_time_as_written_becomes_one_with_a_zone(text, iso):
    assert stamp(moment(text), zone_of("Europe/Berlin")) == iso


GUESSED = [
    *("1.3.2026 2359", "1 mars 2026 2359", "Mars 1, 2026 1159 PM", "", "yesterday"),
    *("Mar 1, 2026 1359 PM", "Feb 30, 2026 1159 PM", "2026-13-01-00-00-00"),
]


@pytest.mark.parametrize("text", GUESSED)
def test_a_time_that_would_be_guessed_is_none(text):
    assert moment(text) is None


def test_the_years_at_the_ends_are_no_times():
    assert stamp(datetime(1, 1, 1), ZoneInfo("Asia/Tokyo")) is None
    with pytest.raises(ValueError, match="no zone as Europe/Berlin is"):
        zone_of("../PST")


@given(st.text(max_size=300), st.none() | st.from_regex(r"\A[0-9]{1,9}\Z"))
def test_a_folder_s_name_leads_nowhere_and_fits(name, number):
    try:
        folder = folder_name(name, number)
    except ValueError:
        assert not any(c.isalnum() for c in name[:64])
        return
    assert len(folder) <= MAX_LETTERS
    assert len(folder.encode()) <= MAX_BYTES
    assert folder[0] not in ".-"
    assert not set(folder) & set("/\\*?[]{}+,:;'\" \n\0%#&")
    assert folder_name(folder) == folder


@given(st.lists(st.text(max_size=90), min_size=2, max_size=2, unique=True))
def test_two_names_never_have_one_folder(names):
    names = {unicodedata.normalize("NFC", name) for name in names}
    try:
        folders = {folder_name(name) for name in names}
    except ValueError:
        return
    assert len(folders) == len(names)


def test_what_is_shown_is_one_line_that_no_terminal_obeys():
    assert shown("a\x1b[2J\nb\u202e\ud800") == r"a\x1b[2J\nb\u202e\ud800"
    assert shown("王伟 Zoë") == "王伟 Zoë"
    assert len(shown("a" * 9_999)) == 160
