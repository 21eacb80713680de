"""Which of a student's files is the homework: the last attempt's, by name, then by ids.

In an attempt the file that is called HOMEWORK.ipynb counts; else the one notebook that
has the homework's nbgrader grade ids. Two that differ and could both be it are
refused: nobody guesses by age. What an attempt lacks, the one before it may have. All
that is passed over is said.

Read in order: `choose`, `_pick`, `_named`, `_recognized`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from course.grader.judging.parsing import Rejected, parse
from course.grader.zips.entries import Entry, shown
from course.grader.zips.schemes import Claim
from course.grader.zips.times import entry_moment, moment

MAX_TRIED = 20  # notebooks of other names that are opened in an attempt
MOST = 0.5  # of the release's grade ids make a notebook recognizable
AGAIN = re.compile(r"-\d+$")  # Canvas: the same name, handed in again

Read = Callable[[Entry], bytes]
Releases = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class File:
    """A student's file, and why it is no candidate, if so."""

    entry: Entry
    claim: Claim
    why: str | None = None


@dataclass
class Choice:
    """What counts of a student, and what was passed over for which reason."""

    file: File | None = None
    content: bytes = b""
    over: list[tuple[File, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: str | None = None


def choose(files: list[File], homework: str, releases: Releases, read: Read) -> Choice:
    """The file of a student that counts; `Choice.refused` says why there is none."""
    choice = Choice()
    attempts = _attempts(_last_of_a_name(files, choice), choice)
    for number, attempt in enumerate(attempts):
        try:
            found = _pick(attempt, homework, releases, read, choice)
        except ValueError as why:
            choice.refused = str(why)
            return choice
        if found is None:
            continue
        choice.file, choice.content = found
        when = choice.file.claim.when
        if number:
            lacking = ", ".join(
                shown(a[0].claim.when or "?") for a in attempts[:number]
            )
            choice.notes.append(
                f"no notebook that counts in the attempt of {lacking}: the one of "
                f"{shown(when or '?')} was taken"
            )
        for earlier in attempts[number + 1 :]:
            usable = [(file, "an earlier attempt") for file in earlier if not file.why]
            choice.over += usable
        return choice
    return choice


def _last_of_a_name(files: list[File], choice: Choice) -> list[File]:
    """Of entries with one name, the last of the directory, as unzip would leave it."""
    last = {file.entry.parts: file for file in files}
    for file in files:
        if last[file.entry.parts] is not file:
            choice.over.append((file, "the zip has this name again: the last counts"))
    return list(last.values())


def _attempts(files: list[File], choice: Choice) -> list[list[File]]:
    """The attempts, the last first: by their times as written, else by the zip's."""
    attempts: dict[str | None, list[File]] = {}
    for file in files:
        attempts.setdefault(file.claim.when, []).append(file)
    times = {when: moment(when) if when else None for when in attempts}
    if len(attempts) > 1 and None in times.values():
        unread = next(when for when, time in times.items() if time is None)
        choice.notes.append(
            f"the time {shown(unread or '')!r} can't be read: its attempts are in the "
            "order of the zip's own times"
        )
        times = {w: _latest(f.entry for f in group) for w, group in attempts.items()}
    return sorted(
        attempts.values(),
        key=lambda group: times[group[0].claim.when] or datetime.min,
        reverse=True,
    )


def _latest(entries: Iterable[Entry]) -> datetime:
    return max(entry_moment(entry.info) or datetime.min for entry in entries)


def _pick(
    attempt: list[File], homework: str, releases: Releases, read: Read, choice: Choice
) -> tuple[File, bytes] | None:
    """The notebook of one attempt; ValueError where two could be it."""
    usable = [file for file in attempt if not file.why]
    named = [file for file in usable if _stem(file) == homework.casefold()]
    others = [file for file in usable if file not in named]
    found = _named(named, read, choice)
    if found:
        choice.over += [(file, f"{homework}.ipynb counts") for file in others]
        whose = _homework_of(found[1], releases)
        if whose not in (None, homework):
            choice.notes.append(f"it has the grade ids of {whose}")
        return found
    return _recognized(others, homework, releases, read, choice)


def _stem(file: File) -> str:
    """What a notebook is called, without what Canvas appends to a second upload."""
    name = file.claim.file[-1].casefold()
    own = name.removesuffix(".ipynb") if name.endswith(".ipynb") else ""
    return AGAIN.sub("", own) if file.claim.upload is not None else own


def _named(files: list[File], read: Read, choice: Choice) -> tuple[File, bytes] | None:
    """Of files with the homework's name: Canvas's last upload, else the outermost."""
    ranks: dict[int, list[File]] = {}
    for file in files:
        upload = file.claim.upload
        rank = len(file.claim.file) if upload is None else -upload
        ranks.setdefault(rank, []).append(file)
    found = None
    for rank in sorted(ranks):
        if found:
            why = "an earlier upload" if rank < 0 else f"{found[0].entry.path} counts"
            choice.over += [(file, why) for file in ranks[rank]]
        else:
            found = _only(_contents(ranks[rank], read, choice), choice)
    return found


def _contents(
    files: list[File], read: Read, choice: Choice
) -> list[tuple[File, bytes]]:
    found = []
    for file in files:
        try:
            found.append((file, read(file.entry)))
        except ValueError as why:
            choice.over.append((file, str(why)))
    return found


def _only(found: list[tuple[File, bytes]], choice: Choice) -> tuple[File, bytes] | None:
    """The one of `found`, or of its equals; ValueError where they differ."""
    if len({content for _, content in found}) > 1:
        names = " and ".join(file.entry.path for file, _ in found[:3])
        raise ValueError(f"{names} differ, and each could be it: leave one in the zip")
    choice.over += [(file, "the same once more") for file, _ in found[1:]]
    return found[0] if found else None


def _recognized(
    files: list[File], homework: str, releases: Releases, read: Read, choice: Choice
) -> tuple[File, bytes] | None:
    """The one notebook with the homework's grade ids, whatever its name."""
    candidates = []
    for file, content in _contents(files[:MAX_TRIED], read, choice):
        whose = _homework_of(content, releases)
        if whose == homework:
            candidates.append((file, content))
        else:
            why = f"it is {whose}, by its grade ids" if whose else _unknown(homework)
            choice.over.append((file, why))
    choice.over += [(file, "one of too many notebooks") for file in files[MAX_TRIED:]]
    if len({_stem(file) for file, _ in candidates}) == 1:  # Canvas's x, x-1, x-2
        candidates.sort(key=lambda pair: pair[0].claim.upload or 0, reverse=True)
        if (candidates[0][0].claim.upload or 0) > 0:
            choice.over += [(file, "an earlier upload") for file, _ in candidates[1:]]
            del candidates[1:]
    found = _only(candidates, choice)
    if found:
        choice.notes.append(f"{found[0].entry.path} was taken, by its grade ids")
    return found


def _unknown(homework: str) -> str:
    return f"not named {homework}.ipynb, and without its grade ids"


def _homework_of(content: bytes, releases: Releases) -> str | None:
    """The homework that a notebook is by its grade ids; None where they don't say."""
    try:
        ids = {cell.grade_id for cell in parse(content)}
    except Rejected:
        return None
    shares = {name: len(ids & own) / len(own) for name, own in releases.items() if own}
    best = max(shares, key=lambda name: shares[name], default=None)
    return best if best is not None and shares[best] >= MOST else None
