"""Files and folders stay small enough to be read at a sitting, or say why not.

A longer file begins with a comment above its docstring, which gives the reason:

    # long: one table, and nothing in it can be understood without the rest
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES, FILES = 300, 12
REASON = re.compile(r"# long: \w.{20,}")


def too_long(text):
    """Whether a file of this text has more lines than it may."""
    return len(text.splitlines()) > LINES and not REASON.match(text)


def crowded(files):
    """The folders in which more than `FILES` of these files lie."""
    folders = [file.parent for file in files]
    return {folder for folder in folders if folders.count(folder) > FILES}


def sources(*roots):
    return [path for root in roots for path in (ROOT / root).rglob("*.py")]


def test_no_file_is_long_without_a_reason():
    files = sources("lib", "course", "tools")
    assert len(files) > 100, "the files are elsewhere"
    found = {str(f.relative_to(ROOT)) for f in files if too_long(f.read_text())}
    assert not found, "split them by idea, or give a reason (see above)"


def test_no_folder_of_lib_is_crowded():
    assert not crowded(sources("lib"))


@pytest.mark.parametrize(
    ("first", "lines", "refused"),
    [
        ('"""One idea."""', LINES, False),
        ('"""One idea."""', LINES + 1, True),
        ("# long: the table of all formats", LINES + 1, False),
        ("# long:", LINES + 1, True),
        ("# a comment of some other kind, long: as it is", LINES + 1, True),
    ],
)
def test_a_reason_is_on_the_first_line(first, lines, refused):
    assert too_long("\n".join([first] + ["x = 1"] * (lines - 1))) == refused


def test_a_folder_is_crowded_with_more_than_a_dozen():
    files = [Path("lib/room", f"{i}.py") for i in range(FILES)]
    other = Path("lib/other", "a.py")
    assert not crowded([*files, other])
    assert crowded([*files, other, Path("lib/room/last.py")]) == {Path("lib/room")}
