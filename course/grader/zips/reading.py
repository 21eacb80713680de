"""Which naming scheme a zip has, decided from all of its notebooks, and who owns what.

A platform's scheme fits where it reads more than half of the notebooks at one depth,
and one must fit. Where none does, the folders are the students, all at one depth: the
one for which most of them vote, a top folder a vote.

Read in order: `decide`, `_plain`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from course.grader.zips.entries import shown
from course.grader.zips.schemes import (
    KEYS,
    PLAIN,
    PLATFORMS,
    Claim,
    Parts,
    Scheme,
    without_the_assignment,
)

MAX_WRAPPERS = 8  # folders above the platform's part of a path
WRAPPERS = {"submissions", "abgaben"}  # what platforms call the folder above all


@dataclass(frozen=True)
class Reading:
    """A scheme, and how it reads any path of the zip (None: nobody's)."""

    key: str
    title: str
    claim: Callable[[Parts], Claim | None]


def decide(paths: list[Parts], homework: str, wanted: str | None = None) -> Reading:
    """The scheme that fits `paths`, a zip's notebooks; `wanted` insists on one.

    Raises ValueError, with examples, where none fits, or more than one.
    """
    if wanted is not None and wanted not in KEYS:
        raise ValueError(f"SCHEME={shown(wanted)} is none of {', '.join(KEYS)}")
    if not paths:
        raise ValueError("There is no notebook in this zip: is it the right one?")
    shared = _shared(paths)
    reads = {
        scheme: _best_depth(scheme, paths, len(shared))
        for scheme in PLATFORMS
        if wanted in (None, scheme.key)
    }
    share = 0 if wanted else len(paths) / 2
    fits = [(s, depth) for s, (count, depth) in reads.items() if count > share]
    if len(fits) > 1:
        raise ValueError(_several(fits, paths))
    if fits:
        reading = _platform(*fits[0], paths)
        if wanted is None:
            _no_doubt(reading, shared, fits[0][1], paths)
        return reading
    if wanted not in (None, PLAIN):
        raise ValueError(f"No notebook of this zip is named as {wanted} names them")
    for scheme, (count, depth) in reads.items():
        if count >= len(paths) / 4:
            raise ValueError(_mixed(scheme, depth, paths))
    return _plain(paths, homework, shared)


def _shared(paths: list[Parts]) -> Parts:
    """The folders that all paths have in common, from the top."""
    shared = paths[0][:-1]
    for path in paths:
        same = 0
        while same < min(len(shared), len(path) - 1) and path[same] == shared[same]:
            same += 1
        shared = shared[:same]
    return shared


def _best_depth(scheme: Scheme, paths: list[Parts], shared: int) -> tuple[int, int]:
    """(how many paths it reads, at which depth): the outermost of the best.

    An exercise's own title may look as ILIAS's students do, so there more owners win.
    """
    found = []
    for depth in range(min(shared, MAX_WRAPPERS) + 1):
        claims = [claim for path in paths if (claim := scheme.read(path[depth:]))]
        owners = len({claim.owner for claim in claims}) if scheme.key == "ilias" else 0
        found.append((len(claims), owners, -depth))
    count, _, depth = max(found)
    return count, -depth


def _platform(scheme: Scheme, depth: int, paths: list[Parts]) -> Reading:
    def claim(path: Parts) -> Claim | None:
        return scheme.read(path[depth:]) if len(path) > depth else None

    if scheme.key != "blackboard":
        return Reading(scheme.key, scheme.title, claim)
    heads = {found.owner for path in paths if (found := claim(path))}
    users = without_the_assignment(heads)

    def user(path: Parts) -> Claim | None:
        if not (found := claim(path)):
            return None
        name = users.get(found.owner, found.owner.rpartition("_")[2])
        return replace(found, owner=name, name=name)

    return Reading(scheme.key, scheme.title, user)


def _no_doubt(reading: Reading, shared: Parts, depth: int, paths: list[Parts]) -> None:
    """One folder with one owner's file names in it: the folder may be the student."""
    if not depth or shared[depth - 1].casefold() in WRAPPERS:
        return
    owners = {found.owner for path in paths if (found := reading.claim(path))}
    if len(owners) == 1 and all(len(path) == depth + 1 for path in paths):
        raise ValueError(
            f"{shown('/'.join(paths[0]))} can be read in two ways: as "
            f"{shown(owners.pop())}'s, if it is from {reading.title}, or as "
            f"{shown(shared[-1])}'s, by its folder. Say which: "
            f"SCHEME={reading.key} or SCHEME={PLAIN}"
        )


def _several(fits: list[tuple[Scheme, int]], paths: list[Parts]) -> str:
    lines = ["Two naming schemes fit this zip. Say which: SCHEME=…"]
    for scheme, depth in fits:
        path = next(path for path in paths if scheme.read(path[depth:]))
        if claim := scheme.read(path[depth:]):
            whose = f"{shown('/'.join(path))} is {shown(claim.owner)}'s"
            lines.append(f"  {scheme.key}: {whose}")
    return "\n".join(lines)


def _mixed(scheme: Scheme, depth: int, paths: list[Parts]) -> str:
    ours = next(path for path in paths if scheme.read(path[depth:]))
    other = next(path for path in paths if not scheme.read(path[depth:]))
    return (
        f"Some of this zip is named as {scheme.title} does, as\n"
        f"  {shown('/'.join(ours))}\nand some is not, as\n"
        f"  {shown('/'.join(other))}\n"
        f"Collect them from two zips, or say SCHEME={scheme.key} to pass over the rest."
    )


# ------------------------------------------------------------------ plain folders


def _plain(paths: list[Parts], homework: str, shared: Parts) -> Reading:
    """The folder above a file is the student, at the depth where most are."""
    votes = _votes(paths, homework, len(shared))
    if 2 * sum(_depth(path, homework) >= 0 for path in paths) < len(paths):
        raise ValueError(_none(paths))
    ranked = Counter(votes.values()).most_common(2)
    depth = ranked[0][0]
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        if "" not in votes:
            raise ValueError(_uneven(paths, homework, ranked))
        depth = votes[""]  # what all share is the student's folder

    def claim(path: Parts) -> Claim | None:
        if len(path) < depth + 2 or path[depth] == homework:
            return None
        owner = "/".join(path[: depth + 1])
        return Claim(owner, path[depth], None, path[depth + 1 :])

    return Reading(PLAIN, "plain folders", claim)


def _depth(path: Parts, homework: str) -> int:
    """Where the folder above a notebook stands; -1 where there is none."""
    folders = path[:-1]
    while folders and folders[-1] == homework:
        folders = folders[:-1]
    return len(folders) - 1


def _votes(paths: list[Parts], homework: str, shared: int) -> dict[str, int]:
    """{top folder: depth of its student}; exact names speak before other notebooks."""
    votes: dict[str, tuple[bool, int]] = {}
    for path in paths:
        depth = _depth(path, homework)
        if depth >= 0:
            top = path[shared] if len(path) > shared + 1 else ""
            other = path[-1].casefold() != f"{homework}.ipynb".casefold()
            votes[top] = min(votes.get(top, (other, depth)), (other, depth))
    return {top: depth for top, (_, depth) in votes.items()}


def _none(paths: list[Parts]) -> str:
    shapes = "\n".join(f"  {s.key:<17} {s.example}" for s in PLATFORMS)
    examples = "\n".join(f"  {shown('/'.join(path))}" for path in paths[:3])
    return (
        f"No naming scheme fits this zip. Its notebooks are called\n{examples}\n"
        f"and what is known is\n{shapes}\n  plain             ada/hw_x.ipynb"
    )


def _uneven(paths: list[Parts], homework: str, ranked: list[tuple[int, int]]) -> str:
    depths = [depth for depth, _ in ranked]
    examples = [
        next((p for p in paths if _depth(p, homework) == depth), paths[0])
        for depth in depths
    ]
    lines = "\n".join(f"  {shown('/'.join(path))}" for path in examples)
    return (
        f"The students' folders are at different depths:\n{lines}\n"
        "Zip them again with every student's folder at one depth."
    )
