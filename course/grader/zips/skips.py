"""What stands in a class's zip and is nobody's answer to this homework.

A system's own files belong to nobody. Other files (a PDF, another homework, an archive)
are somebody's, and are passed over; both come with the reason.

Read in order: `system_file`, `no_answer`.
"""

import re

from course.grader.zips.schemes import Parts

NOTEBOOK = re.compile(
    r"(?P<stem>.*)\.ipynb(?:\.txt|\.json)?", re.IGNORECASE | re.DOTALL
)
SYSTEM = {".ds_store", "thumbs.db", "desktop.ini", "ehthumbs.db"}
ARCHIVES = (".zip", ".gz", ".tar", ".tgz", ".7z", ".rar", ".bz2", ".xz")
KINDS = {".pdf": "a PDF", ".txt": "a text", ".html": "a page", ".htm": "a page"}


def system_file(path: Parts) -> str | None:
    """Whose file it is, where a computer and no student put it there."""
    name = path[-1].casefold()
    if "__MACOSX" in path or name.startswith("._"):
        return "a Mac's own file"
    if name in SYSTEM:
        return "a system's own file"
    if ".ipynb_checkpoints" in path:
        return "Jupyter's own copy"
    return None


def stem(name: str) -> str | None:
    """A notebook's name without its ending (browsers add .txt or .json); else None."""
    found = NOTEBOOK.fullmatch(name)
    return found["stem"] if found else None


def no_answer(file: Parts, homework: str, others: frozenset[str]) -> str | None:
    """Why a file, as its student named it, can't be their `homework`."""
    name = file[-1].casefold()
    if name.endswith(ARCHIVES):
        return "an archive, not opened: ask for the notebook itself"
    if (own := stem(file[-1])) is None:
        suffix = name[name.rfind(".") :] if "." in name else ""
        return f"{KINDS[suffix]}, no notebook" if suffix in KINDS else "no notebook"
    if own != homework and (own in others or others & set(file[:-1])):
        return "of another homework"
    return None
