"""What came of a zip, for an instructor's terminal: counts, then all that needs a look.

Read in order: `report`.
"""

from collections import defaultdict
from collections.abc import Iterable

from course.grader.zips.collect import Collected, Options
from course.grader.zips.entries import shown
from course.grader.zips.times import zone_name

MOST = 20  # lines of a section, unless all are wanted


def report(found: Collected, options: Options, verbose: bool = False) -> str:
    """The report; `verbose` gives a line to each student and to each file."""
    most = 10**9 if verbose else MOST
    would = "would be " if options.dry_run else ""
    changes = ", ".join(
        f"{sum(taken.change == change for taken in found.taken)} {change}"
        for change in ("new", "replaced", "unchanged")
    )
    lines = [
        f"Its naming scheme: {found.scheme} (SCHEME={found.key})",
        *(f"  {taken.path} is {taken.student}'s" for taken in found.taken[:1]),
        f"{len(found.taken)} students {would}collected for {found.homework}: {changes}",
    ]
    if verbose:
        lines += [
            f"  {taken.student}: {taken.path}" + (f", {taken.when}" * bool(taken.when))
            for taken in sorted(found.taken, key=lambda taken: taken.student)
        ]
    missing = [(shown(owner), why) for owner, why in found.missing.items()]
    refused = [(path, why) for path, why in found.refused if path not in found.told]
    noted = [(t.student, note) for t in found.taken for note in t.notes]
    lines += _section("Nothing was taken of", missing, most)
    lines += _section("Refused", refused, most)
    lines += _section("To know", noted, most)
    lines += _section("Passed over beside what counts", found.over, most)
    lines += _skipped(found.skipped, verbose)
    lines += [*found.notes[:most], *_times(found, options)]
    return "\n".join([*lines, _next(found, options)])


def _section(title: str, pairs: Iterable[tuple[str, str]], most: int) -> list[str]:
    pairs = list(pairs)
    lines = [f"  {what}: {why}" for what, why in pairs[:most]]
    if len(pairs) > most:
        lines.append(f"  and {len(pairs) - most:,} more: ARGS=--verbose")
    return [f"{title} ({len(pairs):,}):", *lines] if pairs else []


def _skipped(pairs: list[tuple[str, str]], verbose: bool) -> list[str]:
    """A line a reason, with an example; all of them where all are wanted."""
    if verbose:
        return _section("Skipped", pairs, len(pairs))
    reasons = defaultdict(list)
    for path, why in pairs:
        reasons[why].append(path)
    lines = [f"  {len(paths):,} {why}, as {paths[0]}" for why, paths in reasons.items()]
    return [f"Skipped ({len(pairs):,}; ARGS=--verbose lists them):", *lines][
        : len(lines) and len(lines) + 1
    ]


def _times(found: Collected, options: Options) -> list[str]:
    """What is known of when submissions were handed in."""
    timed = sum(taken.when is not None for taken in found.taken)
    lines = []
    if timed:
        asked = "" if options.zone else "; ZONE=Europe/Berlin would read them as there"
        lines.append(
            f"{timed} have a time. The zip names no zone: read as "
            f"{zone_name(options.zone)}{asked}."
        )
    elif found.taken:
        lines.append(
            "The zip's names tell no times, so nobody is late. Where the times of its "
            "entries are those of handing in: ARGS=--entry-times"
        )
    if found.late:
        lines.append(
            f"{len(found.late)} are late, says the platform, and not by how much: "
            f"{', '.join(found.late[:MOST])}"
        )
    return lines


def _next(found: Collected, options: Options) -> str:
    own = found.homework
    look = (
        f"Of whom nothing was taken: ask for {own}.ipynb and collect again, or lay it "
        f"in course/submitted/STUDENT/{own}/ yourself.\n"
    )
    if options.dry_run:
        now = "Nothing was written. Now: the same without ARGS=--dry-run"
    else:
        now = f"Now: make grade HW={own}"
    return (look if found.missing else "") + now
