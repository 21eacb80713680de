"""An LMS's worksheet is filled where it is certain, and else comes back as it was."""

import codecs
import csv
import io

import pytest

from course.grader.worksheets.fill import Standing, fill
from course.grader.worksheets.layouts import layout
from course.grader.worksheets.sheet import Sheet
from course.grader.zips.students import Table, folder_name

POINTS = (10.0, 12.0)
ENGLISH = (
    "Identifier,Full name,ID number,Email address,Status,Grade,Maximum grade,"
    "Grade can be changed,Last modified (submission),Last modified (grade),"
    "Feedback comments\n"
    'Participant 12345,Ada Lovelace,,ada@uni.edu,"Submitted for grading - ",,10.00,Yes,'
    '"Monday, 1 March 2027, 11:58 PM",-,\n'
    'Participant 12346,"Hopper, Grace",A-17,grace@uni.edu,"Submitted, late",3.50,10.00,'
    'Yes,"Tuesday, 2 March 2027",-,"<p>Line one\nline ""two""</p>"\n'
    "Participant 12347,=cmd|' /C calc'!A0,,mal@uni.edu,No submission,-,10.00,Yes,-,-,\n"
)
GERMAN = (
    "ID;Vollständiger Name;E-Mail-Adresse;Status;Bewertung;Bestwertung;"
    "Bewertung kann geändert werden;Zuletzt geändert (Abgabe);"
    "Zuletzt geändert (Bewertung);Feedback als Kommentar\r\n"
    "Teilnehmer/in12345;Jürgen Groß;j.gross@uni.de;Zur Bewertung abgegeben;;10,00;Ja;"
    "Montag, 1. März 2027, 23:58;-;\r\n"
    "Teilnehmer/in12346;Zoë Müller;z@uni.de;Zur Bewertung abgegeben;-;10,00;Ja;-;-;\r\n"
)
JAPANESE = (
    "識別子,氏名,メールアドレス,ステータス,評点,最大評点,評点の変更,"
    "最終更新日時 (提出),最終更新日時 (評点),フィードバックコメント\n"
    "参加者 12345,山田 太郎,taro@univ.jp,提出済み,,10.00,はい,2027年 03月 1日,-,\n"
    "参加者 12346,佐藤 花子,hana@univ.jp,提出済み,,10.00,はい,-,-,\n"
)
BLIND = (
    "Identifier,Status,Grade,Maximum grade,Grade can be changed,Feedback comments\n"
    "Participant 12345,Submitted for grading,,10.00,Yes,\n"
    "Participant 12346,Submitted for grading,,10.00,Yes,\n"
    "Participant 12347,No submission,,10.00,Yes,\n"
)
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,HW formats (67890),HW linear (67891),"
    "Final Score\n"
    ",,,,,Manual Posting,,(read only)\n"
    "    Points Possible,,,,,10.00,10.00,(read only)\n"
    '"Lovelace, Ada",12345,S1,ada,"LLM 101, A",,7.00,70.1\n'
    '"O\'Brien, Zoë",12346,S2,zoe,LLM 101,9.5,,0\n'
    '"Student, Test",999,,f00f,LLM 101,,,\n'
)
BRIGHTSPACE = (
    "OrgDefinedId,Username,First Name,Last Name,HW formats Points Grade "
    "<Numeric MaxPoints:10 Weight:5>,HW linear Points Grade <Numeric MaxPoints:10>,"
    "End-of-Line Indicator\r\n"
    "#100200300,#ada,Ada,Lovelace,,4,#\r\n"
    "#100200301,#grace,Grace,Hopper,,,#\r\n"
)


def filled(text, scores, names=None, column=None, homework="hw_formats", **options):
    """(what came of it, the cells before, the cells after)."""
    sheet = Sheet.parse(text.encode() if isinstance(text, str) else text)
    standings = {
        student: score if isinstance(score, Standing) else Standing(score, read=True)
        for student, score in scores.items()
    }
    table = Table({k.casefold(): v for k, v in (names or {}).items()})
    place = layout(sheet, homework, column)
    done = fill(sheet, place, standings, POINTS, table=table, **options)
    return done, sheet.rows, Sheet.parse(sheet.written(done.cells)).rows


def grades(text, scores, **options):
    """{first cell and name: grade} that were filled in, all else being as it was."""
    done, before, after = filled(text, scores, **options)
    changed = {
        (row, column)
        for row, (was, now) in enumerate(zip(before, after, strict=True))
        for column, (a, b) in enumerate(zip(was, now, strict=True))
        if a != b
    }
    assert changed == done.cells.keys(), "nothing else changes, and nothing is lost"
    return {after[row][0]: after[row][column] for row, column in sorted(changed)}


ADA = "Ada-Lovelace-12345"
BOTH = {"Ada-Lovelace-12345": 7.5, "Grace-Hopper-12346": 10.0}


@pytest.mark.parametrize(
    ("text", "word", "names", "first"),
    [
        (ENGLISH, "Participant ", ("Ada Lovelace", "Hopper, Grace"), "7.5"),
        (GERMAN, "Teilnehmer/in", ("Jürgen Groß", "Zoë Müller"), "7,5"),
        (JAPANESE, "参加者 ", ("山田 太郎", "佐藤 花子"), "7.5"),
        (BLIND, "Participant ", ("Participant", "Participant"), "7.5"),
    ],
    ids=["English", "German", "Japanese", "blind"],
)
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
def test_moodle_s_worksheet_in_any_language(text, word, names, first, mark):
    folders = map(folder_name, names, ("12345", "12346"))  # as make collect has them
    scores = dict(zip(folders, (7.5, 10.0), strict=True))
    coding = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-8"
    content = mark + text.encode(coding)
    assert grades(content, scores) == {f"{word}12345": first, f"{word}12346": "10"}
    sheet = Sheet.parse(content)
    assert sheet.written({}).startswith(mark + text.encode(coding)[:60])
    assert (b"\r\n" in sheet.written({}).replace(b"\0", b"")) == ("\r\n" in text)


def test_what_is_written_is_a_file_that_every_csv_reader_reads_alike():
    for text in (ENGLISH, GERMAN, JAPANESE, CANVAS, BRIGHTSPACE):
        sheet = Sheet.parse(text.encode())
        stream = io.StringIO(sheet.written({}).decode(), newline="")
        assert list(csv.reader(stream, delimiter=sheet.separator)) == sheet.rows


def test_canvas_s_export_by_the_user_s_number_and_one_column():
    scores = {"lovelaceada-12345": 7.25, "obrienzoe-12346": 9.5}
    assert grades(CANVAS, scores) == {"Lovelace, Ada": "7.25"}
    done, *_ = filled(CANVAS, scores)
    assert (done.same, done.empty, done.absent) == (1, [], []), (
        "the test student is none"
    )
    assert grades(CANVAS, scores, homework="hw_linear")["O'Brien, Zoë"] == "9.5"
    by_header = grades(CANVAS, scores, homework="hw_x", column="HW linear (67891)")
    assert by_header == grades(CANVAS, scores, homework="hw_linear")
    with pytest.raises(
        ValueError, match=r"0 columns are hw_kernels's.*HW formats, HW linear"
    ):
        filled(CANVAS, scores, homework="hw_kernels")


def test_brightspace_by_login_number_and_name():
    by_login = {"ada": 1.0, "100200301": 2.0}
    by_name = {"Ada-Lovelace-123456": 1.0, folder_name("Grace Hopper"): 2.0}
    want = {"#100200300": "1", "#100200301": "2"}
    assert grades(BRIGHTSPACE, by_login) == grades(BRIGHTSPACE, by_name) == want


def test_a_table_decides_before_all_else():
    names = {"ada@uni.edu": ["team-a"], "Hopper, Grace": ["team-b"]}
    scores = {"team-a": 1.0, "team-b": 2.0, "ada-12345": 3.0}
    done, *_ = filled(ENGLISH, scores, names=names)
    assert list(done.cells.values()) == ["1", "2"]
    assert done.absent == ["ada-12345"] and not done.whole


TWINS = ENGLISH.replace("Hopper, Grace", "Ada Lovelace")


def test_a_name_that_fits_two_is_an_error():
    two = {"Ada-Lovelace": 1.0, "ada lovelace": 2.0}
    with pytest.raises(
        ValueError, match="Ada Lovelace could be Ada-Lovelace or ada love"
    ):
        filled(ENGLISH, two)
    with pytest.raises(
        ValueError, match=r"Ada-Lovelace could be .* in the sheet 2 times"
    ):
        filled(TWINS, {"Ada-Lovelace": 1.0})
    with pytest.raises(ValueError, match="could be Ada-Lovelace-1 or Ada-Lovelace-2"):
        filled(BRIGHTSPACE, {"Ada-Lovelace-1": 1.0, "Ada-Lovelace-2": 2.0})
    with pytest.raises(ValueError, match="could be a-12345 or b-12345"):
        filled(CANVAS, {"a-12345": 1.0, "b-12345": 2.0})


def test_a_number_of_somebody_with_another_name_is_a_coincidence():
    done, *_ = filled(ENGLISH, {"bob-12345": 1.0, "s12346": 2.0})
    assert not done.cells and done.absent == ["bob-12345", "s12346"]


def test_namesakes_are_told_apart_by_the_platform_s_number():
    done, *_ = filled(TWINS, {"Ada-Lovelace-12346": 5.0})
    assert [row for row, _ in done.cells] == [2]
    assert len(done.empty) == 2, "the other Ada handed nothing in, and gets nothing"


def test_an_ending_that_only_looks_like_a_hash_is_no_other_s_name():
    done, *_ = filled(ENGLISH, {"Ada-Lovelace-facade": 1.0})
    assert not done.cells and done.absent == ["Ada-Lovelace-facade"]


def test_everybody_who_is_not_filled_is_said():
    scores = {
        ADA: Standing(4.0, read=False),
        "grace@uni.edu": 8.0,
        "a-stranger": 3.0,
    }
    done, _, after = filled(ENGLISH, scores)
    report = done.report()
    assert "0 grades are new, 1 changed, 0 the same" in report
    assert "Hopper, Grace (grace@uni.edu): 3.50 is now 8" in report
    assert (
        "to be read (make instructor) (1):\n  Ada Lovelace (Ada-Lovelace-12345)"
        in report
    )
    assert "not in the sheet (1):\n  a-stranger" in report
    assert "left as they are (1):\n  =cmd" in report
    assert after[3][1] == "=cmd|' /C calc'!A0", "the LMS knows its own names"
    assert Sheet.parse(ENGLISH.encode()).formulas() == 1


def test_a_grade_above_the_maximum_is_cut_where_moodle_would_refuse_it_and_said():
    done, *_ = filled(ENGLISH, {ADA: 11.5})
    assert list(done.cells.values()) == ["10"]
    assert "Cut at the column's maximum of 10.0 (1):\n  Ada Lovelace" in done.report()
    done, *_ = filled(CANVAS, {"a-12345": 11.5})
    assert list(done.cells.values()) == ["11.5"], "Canvas takes extra credit"
    assert "Above the column's maximum" in done.report()


def test_another_maximum_wants_to_be_asked_for():
    hundred = ENGLISH.replace("10.00", "100.00")
    with pytest.raises(ValueError, match=r"holds 100 points, the homework 10, or 12"):
        filled(hundred, BOTH)
    assert "75" in grades(hundred, BOTH, scale=True).values()
    twelve = grades(ENGLISH.replace("10.00", "12.00"), {ADA: 11.5})
    assert twelve == {"Participant 12345": "11.5"}


def test_a_comment_of_200_kb_is_kept():
    long = "<p>" + "x" * 200_000 + "</p>"
    _, _, after = filled(ENGLISH.replace("<p>Line one", long), BOTH)
    assert long in after[2][-1]


def test_a_third_of_a_point_is_not_rounded_away():
    assert grades(ENGLISH, {ADA: 10 / 3}) == {"Participant 12345": "3.33333"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,grade\nada,3\n", "begins with 'name' is not Moodle's"),
        (ENGLISH.replace("Participant 12346", "Group 12346"), "different words"),
        (ENGLISH.replace(",10.00,", ",A to F,"), "could be it: none"),
        (
            ENGLISH.replace("A-17", "9").replace(",Yes", ",10.00"),
            "could be it: Grade, Max",
        ),
        (CANVAS.replace("Points Possible", "Points"), "a row of Points Possible"),
        (CANVAS.replace("HW linear", "hw-formats"), "2 columns are hw_formats's"),
        (BRIGHTSPACE.replace("End-of-Line Indicator", "End"), "End-of-Line Indicator"),
        (ENGLISH.replace("Ada Lovelace", '"Ada'), "no CSV file"),
        (ENGLISH.replace("Ada Lovelace,", ""), "row 2 has 10 cells and its header 11"),
        ("\n", "no header"),
        (GERMAN.encode("cp1252"), "no text in UTF-8 .* save it as CSV UTF-8"),
        (b"PK\x03\x04xl/workbook.xml", "is an Excel file"),
    ],
)
def test_a_sheet_that_cannot_be_filled_is_refused_in_words(text, says):
    with pytest.raises(ValueError, match=says):
        filled(text, BOTH)
