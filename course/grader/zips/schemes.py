"""How learning platforms name the entries of a class's zip, and which one did it here.

    moodle             Ada Lovelace_12345_assignsubmission_file[/ or _]hw_x.ipynb
    canvas             lovelaceada[_LATE]_12345_67890_hw_x.ipynb
    canvas-anonymous   [LATE_]anon_aB3xY_67890_hw_x.ipynb
    blackboard         HW 1_ada_attempt_2026-03-01-23-59-59_hw_x.ipynb
    brightspace        123-456 - Ada Lovelace - Mar 1, 2026 1159 PM[/ or  - ]hw_x.ipynb
    ilias              Lovelace_Ada_ada_345/hw_x.ipynb
                       Team 12/Lovelace_Ada_ada_345/hw_x.ipynb
    plain              ada/hw_x.ipynb, ada/hw_x/hw_x.ipynb

A zip has one scheme, told from all of its notebooks: the platform's part of a path
stands at one depth. So a student, who chooses only what follows it, can claim nobody
else's. What is read of a name is the first that fits, for the same reason. No pattern
takes more than a time linear in the name.

Read in order: `Claim`, the readers, `SCHEMES`; `decide` in reading.py.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

MOODLE = re.compile(
    r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?P<kind>[a-z]+)(?:_(?P<rest>.*))?"
)
CANVAS = re.compile(
    r"(?P<name>.+?)(?P<late>_LATE)?_(?P<id>\d+)_"
    r"(?:(?P<file>\d+)_(?P<rest>.+)|(?P<text>[^_]+\.html))"
)
ANONYMOUS = re.compile(
    r"(?P<late>LATE_)?(?P<name>anon_[A-Za-z0-9]+)_"
    r"(?:(?P<file>\d+)_(?P<rest>.+)|(?P<text>[^_]+\.html))"
)
BLACKBOARD = re.compile(  # the word is "attempt", translated
    r"(?P<head>.+?)_(?P<word>[^\W\d_]+(?: [^\W\d_]+)*)_"
    r"(?P<when>\d{4}(?:-\d\d){5})(?:_(?P<rest>.+)|(?P<text>\.txt))"
)
BRIGHTSPACE = re.compile(
    r"(?P<id>\d+)-\d+ ?- ?(?P<name>.+?) ?- "
    r"(?P<when>(?:\d{4}-\d\d-\d\d|[^-]*?\b\d{4}),? \d{1,2}[:.]?\d\d"
    r"(?: ?[AaPp]\.?[Mm]\.?)?)(?: ?- ?(?P<rest>.+))?"
)
UNDATED = re.compile(r"(?P<id>\d+)-\d+ ?- ?(?P<name>.+) ?- (?P<when>[^-]+)")
ILIAS = re.compile(r"(?!multi_feedback_)(?P<name>[^_]+_[^_]+_.+)_(?P<id>\d+)")
TEAM = re.compile(r"(?P<name>Team) (?P<id>\d+)")

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Claim:
    """Whose an entry is, as its name says."""

    owner: str  # in the zip's own words; one owner, one text
    name: str
    number: str | None  # the platform's own, where there is one
    file: Parts  # what the student called it
    when: str | None = None  # the attempt's time, as written
    late: bool = False
    upload: int | None = None  # Canvas numbers files in the order in which they came
    member: str | None = None  # of a team: whose folder it is


@dataclass(frozen=True)
class Scheme:
    """A platform's way to name things; `read` takes the path from its own part on."""

    key: str
    title: str
    example: str
    read: Callable[[Parts], Claim | None]


def _moodle(parts: Parts) -> Claim | None:
    if not (found := MOODLE.fullmatch(parts[0])):
        return None
    file = ((found["rest"],) if found["rest"] else ()) + parts[1:]
    who = f"{found['name']}_{found['id']}"
    return Claim(who, found["name"], found["id"], file or ("",))


def _canvas(parts: Parts) -> Claim | None:
    found = CANVAS.fullmatch(parts[0])
    if not found or len(parts) > 1:
        return None
    who = f"{found['name']}_{found['id']}"
    return _uploaded(Claim(who, found["name"], found["id"], ()), found)


def _anonymous(parts: Parts) -> Claim | None:
    found = ANONYMOUS.fullmatch(parts[0])
    if not found or len(parts) > 1:
        return None
    return _uploaded(Claim(found["name"], found["name"], None, ()), found)


def _uploaded(claim: Claim, found: re.Match) -> Claim:
    return replace(
        claim,
        file=(found["rest"] or found["text"],),
        late=bool(found["late"]),
        upload=int(found["file"][:18]) if found["file"] else 0,
    )


def _blackboard(parts: Parts) -> Claim | None:
    found = BLACKBOARD.fullmatch(parts[0])
    if not found or len(parts) > 1 or "_" not in found["head"].strip("_"):
        return None
    file = (found["rest"] or parts[0],)
    return Claim(found["head"], found["head"], None, file, found["when"])


def _brightspace(parts: Parts) -> Claim | None:
    found = BRIGHTSPACE.fullmatch(parts[0])
    rest = found["rest"] if found else None
    if found is None and len(parts) > 1:
        found = UNDATED.fullmatch(parts[0])
    if found is None or (rest is None and len(parts) == 1):
        return None
    name = found["name"].strip()
    file = ((rest,) if rest else ()) + parts[1:]
    who = f"{found['id']} - {name}"
    return Claim(who, name, found["id"], file, found["when"].strip())


def _ilias(parts: Parts) -> Claim | None:
    if len(parts) < 2:
        return None
    if team := TEAM.fullmatch(parts[0]):
        member = parts[1] if len(parts) > 2 and ILIAS.fullmatch(parts[1]) else None
        file = parts[2:] if member else parts[1:]
        return Claim(parts[0], team["name"], team["id"], file, member=member)
    if ILIAS.fullmatch(parts[0]):
        return Claim(parts[0], parts[0], None, parts[1:])
    return None


PLATFORMS = (
    Scheme(
        "moodle",
        "Moodle",
        "Ada Lovelace_12345_assignsubmission_file/hw_x.ipynb",
        _moodle,
    ),
    Scheme("canvas", "Canvas", "lovelaceada_12345_67890_hw_x.ipynb", _canvas),
    Scheme(
        "canvas-anonymous",
        "Canvas (anonymous)",
        "anon_aB3xY_67890_hw_x.ipynb",
        _anonymous,
    ),
    Scheme(
        "blackboard",
        "Blackboard",
        "HW 1_ada_attempt_2026-03-01-23-59-59_hw_x.ipynb",
        _blackboard,
    ),
    Scheme(
        "brightspace",
        "Brightspace",
        "123-456 - Ada Lovelace - Mar 1, 2026 1159 PM/hw_x.ipynb",
        _brightspace,
    ),
    Scheme("ilias", "ILIAS", "Lovelace_Ada_ada_345/hw_x.ipynb", _ilias),
)
PLAIN = "plain"
KEYS = (*(scheme.key for scheme in PLATFORMS), PLAIN)


def without_the_assignment(heads: set[str]) -> dict[str, str]:
    """The user in each of Blackboard's "ASSIGNMENT_USER": what is not common to all.

    Both may have underscores. One head alone is cut at its last.
    """
    words = [head.split("_") for head in heads]
    if len(words) == 1:
        return {head: head.rpartition("_")[2] for head in heads}
    shared = 0
    while len({tuple(w[: shared + 1]) for w in words}) == 1 and all(
        len(w) > shared + 1 for w in words
    ):
        shared += 1
    return {head: "_".join(head.split("_")[max(1, shared) :]) for head in heads}
