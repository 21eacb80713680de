"""From a submitted folder to the cells of the notebook in it.

    folder → bytes → JSON → cells, of which only kind, source and ids are read

Whatever is handed in (a link, a pipe, a bomb of brackets) ends as cells or as
`Rejected`, in bounded time and memory, and its author is told what to do.

Read in order: `read_file`, `parse`, `Cell`.
"""

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from course.grader.judging import pictures
from course.grader.judging.conflicts import sides
from course.grader.judging.source import Facts

MAX_FILE = 32 << 20  # bytes
MAX_SOURCE = 1 << 20  # characters in one cell
MAX_CELLS = 1_000
MAX_DEPTH = 100  # of JSON
MAX_PARTS = 1_000_000  # lists and objects: each takes 60 bytes once it is read
STRING = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)  # to its end, or all
PICTURE = re.compile(r"data:image/[\w.+-]+;base64,[\w+/=]+")


class Rejected(ValueError):  # noqa: N818
    """A submission that cannot be graded; the message tells its author what to do."""


@dataclass
class Cell:
    """What is read of a student's cell."""

    kind: str  # "code" or anything else
    source: str
    grade_id: str | None
    cell_id: str | None
    attachments: pictures.Attached = field(default_factory=dict)

    @cached_property
    def facts(self) -> Facts:
        """What its source holds, read when it is first asked for."""
        return Facts.of(self.source)

    @property
    def defines(self) -> frozenset[str]:
        """The names of the functions that it defines."""
        return self.facts.defines

    @property
    def prose(self) -> bool:
        """Whether it is words, though an editor may have made it code."""
        return self.kind != "code" or self.facts.empty or not self.facts.python


# ------------------------------------------------------------------ from disk


def read_file(folder: Path, name: str) -> tuple[bytes, list[str]]:
    """The bytes of the notebook in `folder`, and notes; never through a link.

    It is opened once and judged by what was opened: swapping it later changes nothing.
    Raises `Rejected` where there is no plain notebook of acceptable size.
    """
    with opened(folder) as handle:
        chosen, notes = _choose(os.listdir(handle), handle, f"{name}.ipynb")
        return read(handle, chosen), notes


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A submitted folder, held open, so that it stays the one that it is.

    Raises `Rejected` for a link, and for what is no folder.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        raise Rejected("the submitted folder is a link or is not there") from None
    try:
        yield handle
    finally:
        os.close(handle)


def _choose(names: list[str], folder: int, expected: str) -> tuple[str, list[str]]:
    """The expected file, else the newest other notebook."""
    if expected in names:
        return expected, []
    others = [name for name in names if name.lower().endswith(".ipynb")]
    if not others:
        raise Rejected(f"there is no notebook in it: hand in {expected}")

    def modified(name: str) -> float:
        try:
            return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
        except OSError:  # it went away in between
            return 0.0

    chosen = max(others, key=modified)
    return chosen, [f"{chosen!r} was taken for {expected}"]


def read(folder: int, name: str) -> bytes:
    """All bytes of a plain file of acceptable size; `Rejected` for any other."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(name, flags, dir_fd=folder)
    except OSError:
        raise Rejected(
            f"{name} is a link or cannot be opened: hand in the file itself"
        ) from None
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode):
        os.close(handle)
        raise Rejected(f"{name} is no ordinary file: hand in the notebook itself")
    with os.fdopen(handle, "rb") as stream:
        if facts.st_nlink > 1:
            raise Rejected(f"{name} is a hard link to another file: hand in a copy")
        content = stream.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise Rejected(
            f"{name} is larger than {MAX_FILE >> 20} MB: clear its outputs "
            "(Edit → Clear Outputs of All Cells), save, and hand in again"
        )
    return content


# ------------------------------------------------------------------ what is in it


def parse(content: bytes) -> list[Cell]:
    """The cells of a notebook of any format; `Rejected` for what is none."""
    text = _decoded(content)
    if not text.strip():
        raise Rejected("the file is empty: save the notebook, then hand in again")
    versions = sides(text)  # no text of JSON has a line that begins like git's marks
    return _merged(versions) if versions else list(_cells(_tree(text)))


def _merged(versions: list[str]) -> list[Cell]:
    """The cells on both sides of git's conflicts; `Rejected` where they say two things.

    Most conflicts are of outputs and counters, which are not read.
    """
    with contextlib.suppress(Rejected):
        one, other = (list(_cells(_tree(version))) for version in versions)
        told = [[(cell.kind, cell.source) for cell in side] for side in (one, other)]
        if told[0] == told[1]:
            return one
    raise Rejected(
        "git's conflict marks (<<<<<<<, =======, >>>>>>>) are in the file, and its two "
        "sides are different notebooks: keep one of them, then hand in again"
    )


def _decoded(content: bytes) -> str:
    """The text of a file in any of Unicode's encodings, with a mark of it or without.

    A few bytes that are none of it, in some cell's words, are shown as question marks.
    """
    return content.decode(json.detect_encoding(content), errors="replace")


def _tree(text: str) -> Any:
    """The JSON in `text`; `Rejected` where it is none, or too much for a notebook."""
    brackets = STRING.sub("", text)  # what is shown may have any number of them
    if brackets.count("[") + brackets.count("{") > MAX_PARTS:
        raise Rejected(
            "it has more parts than a notebook: clear its outputs, save, hand in again"
        )
    try:
        tree = json.loads(text, object_pairs_hook=_no_duplicates)
        _check_depth(tree)
    except Rejected:
        raise
    except RecursionError:
        raise Rejected("its JSON is nested too deep for a notebook") from None
    except ValueError:
        raise Rejected(
            "the file is no notebook: it is not JSON (was it cut off?)"
        ) from None
    return tree


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, unless it says two things under one name."""
    if len(found := dict(pairs)) != len(pairs):
        raise Rejected(
            "its JSON has a name twice in one object: save it from JupyterLab"
        )
    return found


def _check_depth(tree: Any) -> None:
    """Reject nesting that no notebook has, without recursion."""
    level, depth = [tree], 0
    while level:
        if depth > MAX_DEPTH:
            raise Rejected("its JSON is nested too deep for a notebook")
        depth += 1
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict | list):
                below += node.values() if isinstance(node, dict) else node
        level = below


def _cells(tree: Any) -> Iterable[Cell]:
    """The cells of nbformat 4, or of the worksheets of nbformat 3 and 2."""
    if not isinstance(tree, dict):
        raise Rejected("the file is JSON, but no notebook")
    sheets = [tree, *_list(tree.get("worksheets"))]
    cells = [
        cell
        for sheet in sheets
        if isinstance(sheet, dict)
        for cell in _list(sheet.get("cells"))
        if isinstance(cell, dict)
    ]
    if not cells:
        raise Rejected("the file has no cells: is it the right notebook?")
    if len(cells) > MAX_CELLS:
        raise Rejected(f"it has {len(cells):,} cells; at most {MAX_CELLS:,} are read")
    for cell in cells:
        kind = "code" if cell.get("cell_type") == "code" else "text"
        source = _text(cell.get("source", cell.get("input", "")))
        attachments = cell.get("attachments")
        if kind == "text":
            source, attachments = pictures.pulled(source, attachments)
        if cell.get("cell_type") == "heading" and isinstance(cell.get("level"), int):
            source = f"{'#' * min(cell['level'], 6)} {source}"  # of nbformat 3
        if len(source) > MAX_SOURCE and cell.get("cell_type") != "code":
            source = PICTURE.sub("(a picture, too large to keep)", source)  # Colab's
        if len(source) > MAX_SOURCE:
            raise Rejected(f"a cell has {len(source):,} characters: too many")
        metadata = cell.get("metadata")
        nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
        yield Cell(
            kind=kind,
            source=source,
            grade_id=grade_id if isinstance(grade_id, str) else None,
            cell_id=cell.get("id") if isinstance(cell.get("id"), str) else None,
            attachments=pictures.attached(attachments) if kind == "text" else {},
        )


def _list(value: Any) -> list:
    return value if isinstance(value, list) else []


def _text(source: Any) -> str:
    """A source, whether it was stored whole or in lines, with plain line ends."""
    lines = source if isinstance(source, list) else [source]
    text = "".join(line for line in lines if isinstance(line, str))
    clean = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return clean.encode("utf-8", "replace").decode("utf-8")
