"""A made-up class: every kind of submission that a term brings, to have a look around.

perfect, partial, late, odd, hostile, quitter, torn: each hands in every homework.

Their names begin with `demo-`, and they come to no course that has real students.
Read in order: `CLASS`, `build`, `remove`.
"""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbgrader.api import MissingEntry
from traitlets.config import Config

from course.grader.gradebook import Gradebook, write
from course.grader.judging.places import grade_id, is_answer
from course.grader.terms import Homework

DUE, LATE = "2030-01-01 12:00:00 UTC", "2030-01-03 09:30:00 UTC"
SCRIPT = "<script>document.title = 'taken over'</script><img src=x onerror=alert(1)>"
CHEAT = """\
import builtins, os
builtins.float = lambda *_: 100.0            # partial credit, if only it ran here
open(os.path.expanduser("~/marks"), "w").write("A+")
"""


def answered(homework: Homework, share: float = 1.0) -> NotebookNode:
    """The release with the first `share` of the model answers filled in."""
    source = nbformat.reads(homework.source, as_version=4)
    release = nbformat.reads(homework.release, as_version=4)
    solved = {grade_id(cell): cell.source for cell in source.cells if is_answer(cell)}
    for name in list(solved)[round(share * len(solved)) :]:
        del solved[name]
    for cell in release.cells:
        cell.source = solved.get(grade_id(cell), cell.source)
    return release


def perfect(homework: Homework) -> str:
    """Everything right."""
    return nbformat.writes(answered(homework))


def partial(homework: Homework) -> str:
    """The first half."""
    return nbformat.writes(answered(homework, 0.5))


def odd(homework: Homework) -> str:
    """Right, with a copied cell, cells of their own, Windows line ends and a BOM."""
    nb = answered(homework)
    first = next(n for n, cell in enumerate(nb.cells) if is_answer(cell))
    twin = copy.deepcopy(nb.cells[first])
    twin.source += "\n\n# my first try, kept to compare"
    nb.cells.insert(first, twin)
    nb.cells.insert(0, new_code_cell("print('notes to myself')"))
    nb.metadata["colab"] = {"provenance": []}
    return "\ufeff" + json.dumps(nb).replace("\n", "\r\n")


def hostile(homework: Homework) -> str:
    """Half of it, and an attempt on the instructor's page, the tests and the disk."""
    nb = answered(homework, 0.5)
    nb.cells.insert(0, new_code_cell(CHEAT))
    nb.cells.insert(0, new_markdown_cell(SCRIPT))
    for cell in nb.cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade"):
            cell.source = "100.0"
    return nbformat.writes(nb)


def quitter(homework: Homework) -> str:
    """Right, but the first answer ends its own process."""
    nb = answered(homework)
    first = next(cell for cell in nb.cells if is_answer(cell))
    first.source += "\n\nimport os\nos._exit(0)"
    return nbformat.writes(nb)


def torn(homework: Homework) -> str:
    """A file that was cut off on its way."""
    return perfect(homework)[:2000]


CLASS: dict[str, tuple[Callable[[Homework], str], str]] = {
    "demo-perfect": (perfect, DUE),
    "demo-partial": (partial, DUE),
    "demo-late": (perfect, LATE),
    "demo-odd": (odd, DUE),
    "demo-hostile": (hostile, DUE),
    "demo-quitter": (quitter, DUE),
    "demo-torn": (torn, DUE),
}


def build(root: Path, config: Config, homeworks: list[Homework]) -> None:
    """Hand in for the made-up class. ValueError where there are real students."""
    folders = [path.name for path in (root / "submitted").glob("*") if path.is_dir()]
    if real := sorted(set(folders) - CLASS.keys()):
        raise ValueError(
            f"course/submitted has students ({', '.join(real[:3])}, …): the "
            "demonstration class would be among them. Try it in a clone of the course."
        )
    with Gradebook(config, root) as book:
        for homework in homeworks:
            if book.database.find_assignment(homework.name).duedate is None:
                book.database.update_or_create_assignment(homework.name, duedate=DUE)
    for student, (make, when) in CLASS.items():
        for homework in homeworks:
            folder = root / "submitted" / student / homework.name
            folder.mkdir(parents=True, exist_ok=True)
            write(folder / f"{homework.name}.ipynb", make(homework))
            write(folder / "timestamp.txt", when)


def remove(root: Path, config: Config) -> None:
    """Take the made-up class out of every folder and of the gradebook."""
    with Gradebook(config, root) as book:
        for student in CLASS:
            for folder in ("submitted", "autograded", "feedback"):
                shutil.rmtree(root / folder / student, ignore_errors=True)
            try:
                book.database.remove_student(student)
            except MissingEntry:
                continue
