"""From a platform's zip of a whole class to course/submitted, one notebook a student.

    entries ─ skip what is nobody's ─ one scheme ─ owners ─ attempts ─ one notebook each
    entries       skips      reading  students  attempts

Nothing is extracted: names in the zip only tell who a notebook belongs to, and its
bytes go to a path that is made here. Whatever is not taken is named with its reason;
one student's odd or hostile file costs that student only, and a bounded time.

Read in order: `collect`, `_sorted`, `_take`, `hand_in`.
"""

import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from course.grader.judging.parsing import MAX_FILE
from course.grader.zips.attempts import Choice, File, choose
from course.grader.zips.entries import (
    Entry,
    content,
    disguise,
    entries_of,
    opened,
    shown,
)
from course.grader.zips.reading import Reading, decide
from course.grader.zips.schemes import PLAIN, Claim
from course.grader.zips.skips import no_answer, system_file
from course.grader.zips.students import Table, folders
from course.grader.zips.times import entry_moment, moment, stamp

MAX_READ = 4 * MAX_FILE  # bytes that are unpacked for one student


@dataclass(frozen=True)
class Options:
    """What an instructor may say about a zip."""

    scheme: str | None = None  # None: decided from the zip
    table: Table = field(default_factory=Table)  # their own names, teams
    zone: ZoneInfo | None = None  # of the zip's times; None: this machine's
    entry_times: bool = False  # take the entries' times, where names tell none
    releases: Mapping[str, frozenset[str]] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True)
class Taken:
    """A student's notebook: from where, handed in when (None: unknown), with notes."""

    student: str
    path: str
    when: str | None
    change: str  # new, replaced, unchanged
    notes: tuple[str, ...] = ()


@dataclass
class Collected:
    """What came of a zip.

    `skipped` and `over` are harmless (nobody's files; files beside the one that
    counts), `refused` and `missing` need a look. Each says why.
    """

    homework: str
    scheme: str  # its title
    key: str  # what SCHEME= calls it
    taken: list[Taken] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    over: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    told: set[str] = field(default_factory=set)  # paths that `missing` speaks of
    missing: dict[str, str] = field(default_factory=dict)  # owner: why nothing came
    notes: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)  # students, as the platform says

    @property
    def students(self) -> list[str]:
        """The folders of those of whom something was taken."""
        return sorted(taken.student for taken in self.taken)


def collect(
    archive: Path, homework: str, submitted: Path, options: Options | None = None
) -> Collected:
    """Lay each student's notebook in submitted/STUDENT/HOMEWORK.

    Raises ValueError, before anything is written, for what is no zip, has more
    entries than a class could, or has no one naming scheme.
    """
    options = options or Options()
    with opened(archive) as bundle:
        entries = entries_of(bundle)
        others = frozenset(options.releases) - {homework}
        usable = [
            entry.parts for entry in entries if _notebook(entry, homework, others)
        ]
        reading = decide(usable, homework, options.scheme)
        found = Collected(homework, reading.title, reading.key)
        files = _sorted(entries, reading, others, found)
        claims = {owner: own[0].claim for owner, own in files.items()}
        members = _members(entries, reading)
        who, troubles = folders(claims, members, options.table)
        found.missing.update(troubles)
        for owner, own in files.items():
            if owner in who:
                _take(bundle, owner, own, who[owner], submitted, options, found)
        _say_more(found, claims, members, who, options)
    _say_who_stays(found, submitted)
    return found


def _notebook(entry: Entry, homework: str, others: frozenset[str]) -> bool:
    """Whether an entry has a say in which scheme this is."""
    return not (
        entry.info.is_dir()
        or entry.trouble
        or system_file(entry.parts)
        or no_answer(entry.parts, homework, others)
    )


def _sorted(
    entries: Iterable[Entry], reading: Reading, others: frozenset[str], found: Collected
) -> dict[str, list[File]]:
    """{owner: their files}; what is nobody's goes to `found` with the reason."""
    files: dict[str, list[File]] = defaultdict(list)
    for entry in entries:
        if entry.info.is_dir():
            continue
        if not entry.named:
            found.refused.append((entry.path, entry.trouble or ""))
            continue
        claim = reading.claim(entry.parts)
        if claim and (disguise(claim.owner) or _no_student(claim, reading, others)):
            claim = None
        own = claim.file if claim else entry.parts
        if why := system_file(entry.parts) or system_file(own):
            found.skipped.append((entry.path, why))
            continue
        if why := no_answer(own, found.homework, others):
            found.skipped.append((entry.path, why))
        elif why := entry.trouble or (
            None if claim else "its name tells of no student"
        ):
            found.refused.append((entry.path, why))
        if claim:
            files[claim.owner].append(File(entry, claim, why))
    return files


def _no_student(claim: Claim, reading: Reading, others: frozenset[str]) -> bool:
    """Whether a plain folder is another homework's or a system's."""
    return reading.key == PLAIN and (claim.name in others or claim.name[:1] == ".")


def _members(entries: Iterable[Entry], reading: Reading) -> dict[str, list[str]]:
    """{team: those whom the zip names in it}, by files or by empty folders."""
    members: dict[str, dict[str, None]] = defaultdict(dict)
    for entry in entries:
        if entry.named and not system_file(entry.parts):
            inside = entry.parts + (("",) if entry.info.is_dir() else ())
            if (claim := reading.claim(inside)) and claim.member:
                members[claim.owner][claim.member] = None
    return {team: list(names) for team, names in members.items()}


def _take(
    bundle: zipfile.ZipFile,
    owner: str,
    files: list[File],
    students: list[str],
    submitted: Path,
    options: Options,
    found: Collected,
) -> None:
    """Choose an owner's notebook and hand it in for each student that owner is."""
    unpacked = 0

    def read(entry: Entry) -> bytes:
        nonlocal unpacked
        if unpacked + entry.info.file_size > MAX_READ:
            raise ValueError(f"one of files of over {MAX_READ >> 20} MB altogether")
        unpacked += entry.info.file_size
        return content(bundle, entry)

    choice = choose(files, found.homework, options.releases, read)
    found.over += [(file.entry.path, why) for file, why in choice.over]
    if choice.file is None:
        why = choice.refused or _reasons(files, choice, found.told)
        team = f"({', '.join(students)}) " if len(students) > 1 else ""
        found.missing[owner] = team + why
        return
    chosen = choice.file
    when, notes = _time(chosen, options)
    for student in students:
        folder = submitted / student / found.homework
        change = hand_in(folder, choice.content, when, options.dry_run)
        own = (*choice.notes, *notes)
        found.taken.append(Taken(student, chosen.entry.path, when, change, own))
        if chosen.claim.late:
            found.late.append(student)


def _reasons(files: list[File], choice: Choice, paths: set[str]) -> str:
    """Why nothing of a student was taken, in a line; adds the paths that it tells."""
    reasons = [(file, file.why) for file in files if file.why] + choice.over
    reasons.sort(key=lambda pair: pair[0].claim.file[-1].endswith(".txt"))
    told = [f"{shown(file.claim.file[-1], 60)}: {why}" for file, why in reasons[:3]]
    paths |= {file.entry.path for file, _ in reasons[:3]}
    more = [f"and {len(reasons) - 3} more"] if len(reasons) > 3 else []
    return "; ".join(told + more)


def _time(chosen: File, options: Options) -> tuple[str | None, list[str]]:
    """When the chosen file was handed in; a note where the zip says it illegibly."""
    written = chosen.claim.when
    when = moment(written) if written else None
    if written is None and options.entry_times:
        when = entry_moment(chosen.entry.info)
    told = stamp(when, options.zone) if when else None
    if told or not (written or options.entry_times):
        return told, []
    words = repr(shown(written)) if written else "in the zip"
    return None, [f"its time {words} can't be read: it counts as in time"]


def _say_more(
    found: Collected,
    claims: Mapping[str, Claim],
    members: Mapping[str, list[str]],
    who: Mapping[str, list[str]],
    options: Options,
) -> None:
    """Notes about the class: teams of one, one name under several numbers."""
    numbers = defaultdict(list)
    for owner, claim in claims.items():
        if found.key == "ilias" and claim.name == "Team":
            if not members.get(owner) and not options.table.of(owner):
                told = f"the zip names no member, so {who.get(owner, ['?'])[0]} has it"
            elif len(who.get(owner, ())) == 1:
                told = f"one member, {who[owner][0]}"
            else:
                continue
            found.notes.append(f"{owner}: {told}. NAMES= says who else is in it")
        elif claim.number:
            numbers[claim.name].append(claim.number)
    for name, own in numbers.items():
        if 1 < len(own) <= len(claims) / 2:  # if all are one name, it is nobody's
            found.notes.append(
                f"{shown(name)} is there under the numbers {', '.join(own)}: as "
                "several students, unless NAMES= makes them one"
            )


def _say_who_stays(found: Collected, submitted: Path) -> None:
    """A note of submissions from before that this zip does not renew."""
    before = {path.parent.name for path in submitted.glob(f"*/{found.homework}")}
    if stay := sorted(before - set(found.students)):
        found.notes.append(
            f"{len(stay)} in course/submitted are from before, not from this zip, and "
            f"stay: {', '.join(shown(name) for name in stay[:3])}"
            + (", …" if len(stay) > 3 else "")
        )


def hand_in(
    folder: Path, notebook: bytes, when: str | None = None, dry_run: bool = False
) -> str:
    """Write a submission as nbgrader's own collection does; say what changed.

    Where nobody knows when it was handed in there is no timestamp.txt, and the
    submission is not late.
    """
    path, time = folder / f"{folder.name}.ipynb", folder / "timestamp.txt"
    before = path.read_bytes() if path.is_file() else None
    told = time.read_text(errors="replace").strip() if time.is_file() else None
    if (before, told) == (notebook, when):
        return "unchanged"
    if not dry_run:
        folder.mkdir(parents=True, exist_ok=True)
        if when is None:
            time.unlink(missing_ok=True)
        else:
            time.write_text(when)
        draft = folder / f".{folder.name}.draft"
        draft.write_bytes(notebook)
        draft.replace(path)
    return "new" if before is None else "replaced"
