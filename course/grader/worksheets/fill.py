"""Whose row is whose, and a grade in each that is certain.

    row ─ NAMES=, the platform's number, a login, a full name ─→ one student, or none

A student's folder ends in the platform's number where `make collect` made it. The first
way that finds anybody decides; where it finds two, or where two rows find one student,
that is an error and nothing is written. A row without a student keeps what it has, and
so does one whose answers nobody has read yet. All of them are said.

Read in order: `Standing`, `fill`, `matched`, `Filled.report`.
"""

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field

from course.grader.words import line
from course.grader.worksheets.layouts import Layout, Person
from course.grader.worksheets.sheet import Sheet, number_of
from course.grader.zips.students import Table, folder_name

NUMBERED = re.compile(r"(?P<name>.*)-(?P<number>\d+)")
MOST = 20  # lines of a section
EXACT = 1e-5  # grades that differ by less are one


@dataclass(frozen=True)
class Standing:
    """What a student has in the gradebook."""

    score: float
    read: bool  # it was not rejected, and no answer waits for a person


@dataclass
class Filled:
    """What came of a sheet."""

    layout: Layout
    cells: dict[tuple[int, int], str] = field(default_factory=dict)
    same: int = 0
    changed: list[str] = field(default_factory=list)  # a grade was there
    above: list[str] = field(default_factory=list)  # more than the maximum
    unread: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)  # rows without a student
    absent: list[str] = field(default_factory=list)  # students without a row

    @property
    def whole(self) -> bool:
        """Whether nobody who was graded is missing in the sheet."""
        return not (self.absent or self.unread)

    def report(self) -> str:
        """What an instructor should know, a line each."""
        kept = "Cut at" if self.layout.cut else "Above"
        new = len(self.cells) - len(self.changed)
        lines = [
            f"{self.layout.platform}'s worksheet, {len(self.layout.people)} rows: "
            f"{new} grades are new, {len(self.changed)} changed, {self.same} the same"
        ]
        for title, people in (
            ("Changed", self.changed),
            (f"{kept} the column's maximum of {self.layout.most}", self.above),
            ("Not filled: rejected, or to be read (make instructor)", self.unread),
            ("Rows without a graded submission, left as they are", self.empty),
            ("Graded, and not in the sheet", self.absent),
        ):
            if people:
                lines.append(f"{title} ({len(people)}):")
                lines += [f"  {line(who)}" for who in people[:MOST]]
                if len(people) > MOST:
                    lines.append(f"  and {len(people) - MOST:,} more")
        return "\n".join(lines)


def fill(
    sheet: Sheet,
    layout: Layout,
    standings: dict[str, Standing],
    points: tuple[float, float],
    *,
    table: Table | None = None,
    scale: bool = False,
) -> Filled:
    """The grades of `standings`, {student: standing}, in the rows of `layout`.

    `points` are the homework's, without and with its bonus; a column that holds another
    maximum needs `scale`. ValueError where that is so, and where a row or a student
    could be two.
    """
    plain, all_points = points
    factor = 1.0
    if layout.most is not None:
        if scale:
            factor = layout.most / plain
        elif all(abs(layout.most - p) > EXACT for p in points):
            raise ValueError(
                f"the column holds {layout.most:g} points, the homework {plain:g}"
                f", or {all_points:g} with its bonus: set that, or ARGS=--scale"
            )
    found = matched(layout.people, sorted(standings), table or Table())
    filled = Filled(layout)
    filled.absent = sorted(standings.keys() - found.values())
    for person in layout.people:
        student = found.get(person.row)
        if student is None:
            filled.empty.append(person.called)
        elif not standings[student].read:
            filled.unread.append(f"{person.called} ({student})")
        else:
            enter(filled, sheet, person, student, standings[student].score * factor)
    return filled


def enter(
    filled: Filled, sheet: Sheet, person: Person, student: str, score: float
) -> None:
    """Put one grade where it belongs, and say what there is to say of it."""
    layout = filled.layout
    if layout.most is not None and score > layout.most + EXACT:
        filled.above.append(f"{person.called} ({student}): {score:g}")
        score = layout.most if layout.cut else score
    was = sheet.rows[person.row][layout.column]
    before = number_of(was)
    if before is not None and abs(before - score) < EXACT:
        filled.same += 1
        return
    text = f"{score:.5f}".rstrip("0").rstrip(".")
    text = text.replace(".", ",") if layout.comma else text
    if before is not None:
        filled.changed.append(f"{person.called} ({student}): {was} is now {text}")
    filled.cells[person.row, layout.column] = text


# ------------------------------------------------------------------ whose row


def matched(people: list[Person], students: list[str], table: Table) -> dict[int, str]:
    """{row: student}; ValueError names a row that fits two, or two that fit one."""
    known = Known.of(students)
    found: dict[int, str] = {}
    for person in people:
        fits = known.who(person, table)
        if len(fits) > 1:
            both = " or ".join(sorted(fits))
            raise ValueError(f"{person.called} could be {both}: NAMES= parts them")
        if fits:
            (found[person.row],) = fits
    rows = defaultdict(list)
    for person in people:
        if person.row in found:
            rows[found[person.row]].append(person.called)
    for student, several in rows.items():
        if len(several) > 1:
            raise ValueError(
                f"{student} could be {' or '.join(several)}, in the sheet "
                f"{len(several)} times: NAMES= parts them"
            )
    return found


@dataclass(frozen=True)
class Known:
    """The students of the gradebook, as rows may speak of them."""

    students: set[str]
    by_number: dict[str, set[str]]  # the platform's, at the end of a folder's name
    by_name: dict[str, set[str]]
    by_bare_name: dict[str, set[str]]  # of folders that end in a number, without it

    @classmethod
    def of(cls, students: list[str]) -> "Known":
        """Each student under all names."""
        known = cls(set(students), defaultdict(set), defaultdict(set), defaultdict(set))
        for student in students:
            known.by_name[plain(student)].add(student)
            if ending := NUMBERED.fullmatch(student):
                known.by_number[ending["number"]].add(student)
                known.by_bare_name[plain(ending["name"])].add(student)
        return known

    def who(self, person: Person, table: Table) -> set[str]:
        """The students that a row fits, by the first way that finds any.

        A row whose platform numbers people is nobody's whose number is another, and
        where its zip has the sheet's names, they agree as well.
        """
        if given := table.of(*person.ids, person.number, person.name):
            return set(given) & self.students
        fits = set(self.by_number.get(person.number or "", ()))
        if person.same_name and person.name:
            fits = {i for i in fits if alike(NUMBERED.sub(r"\g<name>", i), person.name)}
        if fits:
            return fits
        if fits := {i for x in person.ids for i in safe(x)} & self.students:
            return fits
        fits = {i for i in safe(person.name) if i in self.students}
        fits = fits or set(self.by_name.get(plain(person.name), ()))
        if not person.number:
            fits |= self.by_bare_name.get(plain(person.name), set())
        return fits if plain(person.name) else set()


def alike(one: str, other: str) -> bool:
    """Whether two names have the same words, in any order."""
    return sorted(plain(one).split()) == sorted(plain(other).split())


def safe(login: str) -> list[str]:
    """The folder of a login, where it can be one."""
    try:
        return [folder_name(login)]
    except ValueError:
        return []


def plain(name: str) -> str:
    """A name as folders have it, whatever the order of "Lovelace, Ada"."""
    last, comma, first = name.partition(",")
    name = f"{first.strip()} {last.strip()}" if comma else name
    name = unicodedata.normalize("NFC", name).casefold()
    kept = (
        c if c.isalnum() or unicodedata.category(c) in ("Mn", "Mc") else " "
        for c in name
    )
    return " ".join("".join(kept).split())
