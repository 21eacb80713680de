"""The folder of a student, from what a zip or an instructor's table calls them.

A folder's name keeps the letters of every script (in NFC), digits and `. _ - @`. Where
anything else was in the name, or it had to be cut, a hash of the whole name keeps two
apart: "Ada Lovelace" is `Ada-Lovelace-1f9a6e`. A platform's number does the same, so
that Moodle's "Ada Lovelace_12345" is `Ada-Lovelace-12345`. nbgrader would allow more
(all but blanks at the ends, in 128 characters), but globs, URLs and its exchange, which
cuts names at `+`, would not.

A table (CSV, `name,student`) says who somebody is, or who is in a team: several rows of
one name credit several students.

Read in order: `folder_name`, `Table`, `folders`.
"""

import csv
import hashlib
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from course.grader.zips.entries import shown
from course.grader.zips.schemes import Claim

MAX_LETTERS = 64  # nbgrader's gradebook holds 128 characters
MAX_BYTES = 140  # the least that a file system in use allows for a name
MAX_TABLE = 1 << 20  # bytes
UNUSUAL = re.compile(r"[^\w.@-]+")
ENDS = ".-@"


def folder_name(name: str, number: str | None = None) -> str:
    """A folder's name for a student; a hash where the name alone can't tell them.

    Raises ValueError where no letter or digit is left.
    """
    name = unicodedata.normalize("NFC", name)
    clean = _clean(name)
    if not any(c.isalnum() for c in clean + (number or "")):
        raise ValueError("its name tells of no student")
    whole = f"{clean}-{number}".lstrip("-") if number else clean
    if _fits(whole) and (number or clean == name):
        return whole
    return _hashed(clean, f"{name}-{number}" if number else name)


def _clean(name: str) -> str:
    """Letters, marks, digits, `._-@`; marks are not `\\w`, and Hindi needs them."""
    kept = "".join(
        c if unicodedata.category(c) in ("Mn", "Mc") else UNUSUAL.sub("-", c)
        for c in name[: 4 * MAX_LETTERS]
    )
    return re.sub("-{2,}", "-", kept).strip(ENDS) if kept != name else kept.strip(ENDS)


def _fits(name: str) -> bool:
    return len(name) <= MAX_LETTERS and len(name.encode()) <= MAX_BYTES


def _hashed(clean: str, whole: str) -> str:
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    while not _fits(f"{clean}-{digest}"):
        clean = clean[:-1]
    return f"{clean.rstrip(ENDS)}-{digest}".lstrip("-")


# ------------------------------------------------------------------ the table


@dataclass
class Table:
    """An instructor's own names: {name in the zip: students}."""

    students: dict[str, list[str]] = field(default_factory=dict)

    def of(self, *names: str | None) -> list[str]:
        """The students that the first of `names` stands for which is in the table."""
        for name in names:
            if name and (found := self.students.get(_key(name))):
                return found
        return []


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def read_table(path: Path) -> Table:
    """The table at `path`; ValueError names the line that cannot be used."""
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_TABLE).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} can't be read as text in UTF-8 ({error})") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)  # Excel's, by country
    rows = csv.reader(text.splitlines(), delimiter=delimiter)
    table = Table()
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if number == 1:
            if cells != ["name", "student"]:
                raise ValueError(f"{path}: its first line must be name,student")
        elif any(cells):
            name, student = cells if len(cells) == 2 else ("", "")
            if not name or not student or _plain_name(student) != student:
                raise ValueError(
                    f"{path}, line {number}: a name of the zip and a student, of "
                    f"letters, digits, '.', '_', '-', '@': {shown(str(row))}"
                )
            known = table.students.setdefault(_key(name), [])
            known += [student] if student not in known else []
    return table


def _plain_name(student: str) -> str | None:
    try:
        return folder_name(student)
    except ValueError:
        return None


# ------------------------------------------------------------------ everyone's


def folders(
    claims: dict[str, Claim], members: dict[str, list[str]], table: Table
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """({owner: folders}, {owner: why there is none}).

    `members` are those whom the zip names in a team. Two owners of one folder have
    none, either of them; names that differ only in case get a hash each.
    """
    same = defaultdict(set)
    for owner, claim in claims.items():
        same[claim.name].add(owner)
    found: dict[str, list[str]] = {}
    troubles: dict[str, str] = {}
    for owner, claim in claims.items():
        alone = claim.name if len(same[claim.name]) == 1 else None
        given = table.of(owner, claim.number, alone)
        try:
            named = [
                student
                for member in members.get(owner, [])
                for student in table.of(member) or [folder_name(member)]
            ]
            who = dict.fromkeys([*named, *given])
            found[owner] = list(who) or [folder_name(claim.name, claim.number)]
        except ValueError as why:
            troubles[owner] = str(why)
    _part_cases(found, {who for own in table.students.values() for who in own})
    for folder, owners in _owners(found).items():
        if len(owners) > 1:
            names = " and ".join(repr(shown(owner)) for owner in owners)
            for owner in owners:
                troubles[owner] = (
                    f"{names} have one folder, {folder}: NAMES= parts them"
                )
    return {o: who for o, who in found.items() if o not in troubles}, troubles


def _owners(found: dict[str, list[str]]) -> dict[str, list[str]]:
    owners = defaultdict(list)
    for owner, students in found.items():
        for student in students:
            owners[student].append(owner)
    return owners


def _part_cases(found: dict[str, list[str]], given: set[str]) -> None:
    """Give a hash to folders that some file systems take for one."""
    alike = defaultdict(set)
    for students in found.values():
        for student in students:
            alike[unicodedata.normalize("NFKC", student).casefold()].add(student)
    for owner, students in found.items():
        found[owner] = [
            _hashed(s, s)
            if s not in given
            and len(alike[unicodedata.normalize("NFKC", s).casefold()]) > 1
            else s
            for s in students
        ]
