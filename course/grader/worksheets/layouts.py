"""Where the worksheets of three platforms have students, grades and maxima.

    Moodle       Identifier,Full name,…,Grade,Maximum grade,…   headers are translated
                 "Participant 12345",Ada Lovelace,…,,"10.00",…
    Canvas       Student,ID,SIS User ID,SIS Login ID,Section,HW formats (67890),…
                 a row "Points Possible" before the students
    Brightspace  OrgDefinedId,Username,…,HW formats Points Grade <Numeric MaxPoints:10>,
                 …,End-of-Line Indicator

Moodle's are told by position: each row begins with one word and a number, and the
grade stands left of the first column that is the same number in all rows, the maximum.
Where two columns could be meant, nothing is chosen.  Read in order: `Layout`, `layout`.
"""

import re
from dataclasses import dataclass

from course.grader.words import line
from course.grader.worksheets.sheet import Sheet, number_of

PARTICIPANT = re.compile(r"(?P<word>\D*[^\W\d_]\D*?)\s*(?P<number>\d+)")
LOGIN = re.compile(r"\d|@")  # an e-mail or a number of the university
MAX_POINTS = re.compile(r"MaxPoints:(\d+(?:\.\d+)?)")
POINTS_GRADE = re.compile(r"(?P<item>.+?) Points Grade(?: <.*>)?")
CANVAS_ITEM = re.compile(r"(?P<item>.+) \(\d+\)")


@dataclass(frozen=True)
class Person:
    """Who a row is: what the platform numbers, calls and names a student."""

    row: int  # in the sheet, header included
    number: str | None  # also in the names of the platform's zip
    ids: tuple[str, ...]  # logins and numbers of the university
    name: str
    same_name: bool = False  # the platform's zip has it, too

    @property
    def called(self) -> str:
        """What a message calls this row."""
        return line(self.name or (self.ids or (self.number or "?",))[0], 60)


@dataclass(frozen=True)
class Layout:
    """A platform's sheet, understood."""

    platform: str
    people: list[Person]
    column: int  # of the grade
    most: float | None  # points that this column can hold; None where it doesn't say
    comma: bool = False  # decimal commas
    cut: bool = False  # the platform refuses more than that


def layout(sheet: Sheet, homework: str, column: str | None = None) -> Layout:
    """Whose sheet it is, and where `homework`'s grades go; `column` is a header.

    ValueError where it is nobody's, or two columns could be meant.
    """
    head = [cell.strip() for cell in sheet.rows[0]]
    if head[0] == "Student" and "ID" in head[:3]:
        return canvas(sheet, head, homework, column)
    if head[0] in ("OrgDefinedId", "Username"):
        return brightspace(sheet, head, homework, column)
    if all(PARTICIPANT.fullmatch(row[0].strip()) for row in sheet.rows[1:] if row):
        return moodle(sheet, head, column)
    raise ValueError(
        f"a sheet that begins with {line(head[0], 40)!r} is not Moodle's grading "
        "worksheet, nor Canvas's or Brightspace's export of grades"
    )


def moodle(sheet: Sheet, head: list[str], column: str | None) -> Layout:
    """The grading worksheet of one assignment, in any language.

    ValueError where not one column is certainly the grade's, or rows speak differently.
    """
    rows = [(number, row) for number, row in enumerate(sheet.rows) if number and row]
    found = [PARTICIPANT.fullmatch(row[0].strip()) for _, row in rows]
    words = {match["word"] for match in found if match}
    if len(words) != 1:
        raise ValueError(f"its rows begin with different words: {sorted(words)[:3]}")
    maxima = [c for c in range(2, len(head)) if is_maximum([r[c] for _, r in rows])]
    wanted = [c for c in maxima if is_grades([row[c - 1] for _, row in rows])]
    if column is not None:
        wanted = [c for c in wanted if head[c - 1] == column]
    if len(wanted) != 1:
        could = ", ".join(line(head[c - 1], 40) for c in wanted) or "none"
        raise ValueError(
            "the grade stands left of the maximum, one number in all rows; columns "
            f"that could be it: {could}. Offer Moodle's worksheet of one assignment "
            "with points, or name the column: ARGS='--column …'"
        )
    place = wanted[0] - 1
    most = rows[0][1][wanted[0]]
    second = [row[1].strip() for _, row in rows]
    named = place > 2 and 2 * len(set(second)) > len(
        second
    )  # else a status: it is blind
    people = [
        Person(
            number,
            match["number"] if match else None,
            tuple(cell.strip() for cell in row[2:place] if LOGIN.search(cell)),
            row[1].strip() if named else "",
            same_name=True,
        )
        for (number, row), match in zip(rows, found, strict=True)
    ]
    return Layout("Moodle", people, place, number_of(most), "," in most, cut=True)


def is_maximum(cells: list[str]) -> bool:
    """Whether a column is one positive number in all rows, with Moodle's decimals."""
    same = len({cell.strip() for cell in cells}) == 1
    return (
        same
        and bool(re.fullmatch(r"\d+[.,]\d\d", cells[0].strip()))
        and any(digit in "123456789" for digit in cells[0])
    )


def is_grades(cells: list[str]) -> bool:
    """Whether a column holds grades, or space for them."""
    return all(c.strip() in ("", "-") or number_of(c) is not None for c in cells)


def canvas(sheet: Sheet, head: list[str], homework: str, column: str | None) -> Layout:
    """The gradebook's export, a column of many; ValueError without Points Possible."""
    possible = [
        number
        for number, row in enumerate(sheet.rows[:4])
        if number and row and row[0].strip() == "Points Possible"
    ]
    if not possible:
        raise ValueError("Canvas's export has a row of Points Possible, and this none")
    place = the_column(head, CANVAS_ITEM, homework, column)
    at = {
        name: head.index(name)
        for name in ("ID", "SIS User ID", "SIS Login ID")
        if name in head
    }
    people = []
    for number, row in enumerate(sheet.rows):
        if number <= possible[0] or not row or not row[at["ID"]].strip():
            continue
        ids = [row[c].strip() for name, c in at.items() if name != "ID"]
        name = row[0].strip()
        if name != "Student, Test":
            filled = tuple(i for i in ids if i)
            people.append(Person(number, row[at["ID"]].strip(), filled, name))
    most = number_of(sheet.rows[possible[0]][place])
    return Layout("Canvas", people, place, most)


def brightspace(
    sheet: Sheet, head: list[str], homework: str, column: str | None
) -> Layout:
    """The grades' export. ValueError without the column that says where a line ends."""
    if "End-of-Line Indicator" not in head:
        raise ValueError("Brightspace wants a column End-of-Line Indicator back")
    place = the_column(head, POINTS_GRADE, homework, column)
    logins = [c for c, name in enumerate(head) if name in ("OrgDefinedId", "Username")]
    names = [head.index(n) for n in ("First Name", "Last Name") if n in head]
    people = [
        Person(
            number,
            None,
            tuple(i for c in logins if (i := row[c].strip().lstrip("#"))),
            " ".join(row[c].strip() for c in names),
        )
        for number, row in enumerate(sheet.rows)
        if number and row
    ]
    found = MAX_POINTS.search(head[place])
    return Layout("Brightspace", people, place, float(found[1]) if found else None)


def the_column(
    head: list[str], item: re.Pattern, homework: str, column: str | None
) -> int:
    """Where `homework`'s grades go: the column named so, or the one that is asked for.

    "HW formats (67890)" is hw_formats': letters and digits decide, case does not.
    ValueError where there is none, or there are two.
    """
    items = {
        c: found["item"]
        for c, cell in enumerate(head)
        if (found := item.fullmatch(cell))
    }
    if column is not None:
        wanted = [c for c in items if column in (head[c], items[c])]
    else:
        wanted = [c for c, name in items.items() if letters(name) == letters(homework)]
    if len(wanted) != 1:
        what = column or homework
        names = ", ".join(line(name, 40) for name in items.values()) or "none"
        raise ValueError(
            f"{len(wanted)} columns are {line(what, 40)}'s; there are: {names}. "
            "Name the one: ARGS='--column …'"
        )
    return wanted[0]


def letters(name: str) -> str:
    """A name without case, blanks and signs."""
    return "".join(c for c in name.casefold() if c.isalnum())
