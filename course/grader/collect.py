"""From an LMS's zip of a whole class to course/submitted, a file at a time, safely.

    Moodle    "Ada Lovelace_12345_assignsubmission_file/hw_x.ipynb"      (folders)
              "Ada Lovelace_12345_assignsubmission_file_hw_x.ipynb"      (flat)
    Canvas    "lovelaceada_12345_67890_hw_x-1.ipynb", "…_LATE_12345_67890_hw_x.ipynb"
    plain     "ada/hw_x.ipynb", "ada/hw_x/hw_x.ipynb"

Nothing is extracted: the names in the zip only tell who a notebook belongs to, and its
bytes go to a path that is made here. A link, an encrypted entry, and one that holds
more than it says or more than intake takes are refused, each with its reason.

Read in order: `collect`, `owner`, `content`.
"""

import re
import stat
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from course.grader.parsing import MAX_FILE

MAX_ENTRIES = 20_000
MOODLE = re.compile(r"(?P<name>[^/]+)_(?P<id>\d+)_assignsubmission_file(?:_?/|_)[^/]+")
CANVAS = re.compile(r"(?P<name>[^/_]+)_(?:LATE_)?(?P<id>\d+)_\d+_[^/]+")
PLAIN = re.compile(r"(?:.*/)?(?P<name>[^/]+)/(?P<file>[^/]+)")
UNUSUAL = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass
class Collected:
    """What came of a zip: who handed in, and which entries were refused, and why."""

    students: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def collect(archive: Path, homework: str, submitted: Path) -> Collected:
    """Lay each student's notebook in submitted/STUDENT/HOMEWORK; the newest counts.

    Raises ValueError for what is no zip, or has more entries than a class could.
    """
    found = Collected()
    try:
        bundle = zipfile.ZipFile(archive)
    except Exception as error:  # a damaged directory raises whatever its bytes lead to
        raise ValueError(f"{archive} is no zip that can be read ({error})") from None
    with bundle:
        entries = [entry for entry in bundle.infolist() if not entry.is_dir()]
        if len(entries) > MAX_ENTRIES:
            raise ValueError(f"{archive} has {len(entries):,} entries: no class's")
        for entry in sorted(entries, key=lambda entry: entry.date_time):
            if not entry.filename.lower().endswith(".ipynb"):
                found.refused[entry.filename] = "it is no notebook"
                continue
            try:
                student, notebook = owner(entry, homework), content(bundle, entry)
            except ValueError as why:
                found.refused[entry.filename] = str(why)
                continue
            hand_in(submitted / student / homework, notebook)
            found.students.append(student)
    found.students = sorted(set(found.students))
    return found


def owner(entry: zipfile.ZipInfo, homework: str) -> str:
    """The student that an entry's name tells of, as a folder's name of ours.

    Raises ValueError where it tells of none.
    """
    path = entry.filename.replace("\\", "/").removeprefix("./")
    match = MOODLE.search(path) or CANVAS.fullmatch(path.rpartition("/")[2])
    if match:
        return folder_name(f"{match['name']}-{match['id']}")
    if match := PLAIN.fullmatch(path.replace(f"/{homework}/", "/")):
        return folder_name(match["name"])
    raise ValueError("its name tells of no student")


def folder_name(name: str) -> str:
    """Letters, digits, dots and dashes; ValueError where nothing is left of a name."""
    plain = UNUSUAL.sub("-", name).strip("-.")[:64]
    if not plain:
        raise ValueError("its name tells of no student")
    return plain


def content(bundle: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """An entry's bytes, never more than intake takes, whatever its header says.

    Raises ValueError for a link, and for what is encrypted, damaged or too large.
    """
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise ValueError("it is a link")
    if entry.flag_bits & 1:
        raise ValueError("it is encrypted")
    try:
        with bundle.open(entry) as stream:
            found = stream.read(MAX_FILE + 1)
    except Exception as error:  # zipfile's own, zlib's, lzma's
        raise ValueError(f"it cannot be read ({error})") from None
    if len(found) > MAX_FILE:
        raise ValueError(f"it unpacks to more than {MAX_FILE >> 20} MB")
    return found


def hand_in(folder: Path, notebook: bytes) -> None:
    """Write a submission as nbgrader's own collection does.

    An LMS's zip does not say when a file was handed in (its times are the download's),
    so there is no timestamp.txt, and nobody is late.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "timestamp.txt").unlink(missing_ok=True)
    draft = folder / f".{folder.name}.draft"
    draft.write_bytes(notebook)
    draft.replace(folder / f"{folder.name}.ipynb")
