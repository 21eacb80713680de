"""The class that a homework is judged by: who submits what, and what each must get.

Read in order: `Answers`, `answered` (put functions into a notebook), `students`,
`grade` (as the course grades), `complaints`, `table`.
"""

import ast
import copy
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lib.exercises.own_work import WITHHELD

HERE = Path(__file__).parent
SOLUTIONS = HERE.parents[1] / "solutions"
HOMEWORKS = sorted(path.name for path in SOLUTIONS.glob("hw_*") if path.is_dir())
assert HOMEWORKS, f"there is no homework in {SOLUTIONS}"
BEGIN = "### BEGIN SOLUTION"

Grades = dict[str, dict[str, dict]]  # {student: {grade_id: score, max, manual}}


def read(name: str) -> NotebookNode:
    """Read the source notebook of a homework."""
    return nbformat.read(SOLUTIONS / name / f"{name}.ipynb", as_version=4)


def role(cell: NotebookNode) -> str | None:
    """Say what nbgrader takes a cell for: answer, test, written, text, or None."""
    meta = cell.metadata.get("nbgrader")
    if meta is None:
        return None
    if meta["solution"]:
        return "written" if meta["grade"] else "answer"
    return "test" if meta["grade"] else "text"


def graded(nb: NotebookNode) -> dict[str, float]:
    """Return {grade_id: points} of a notebook's test cells."""
    tests = (cell.metadata.nbgrader for cell in nb.cells if role(cell) == "test")
    return {meta.grade_id: float(meta.points) for meta in tests}


# ------------------------------------------------------------------ answers


@dataclass(frozen=True)
class Answers:
    """A file of changes to the solution's functions, and what they must cost.

    A function replaces the one of its name; `patches`, {function: {old: new}}, change
    some of the solution's own text.
    """

    docstring: str
    loses: frozenset[str]
    functions: dict[str, str]
    patches: dict[str, dict[str, str]]
    helpers: str

    @classmethod
    def parse(cls, source: str) -> "Answers":
        """Cut a file into docstring, LOSES, PATCHES, functions, all else (helpers)."""
        tree = ast.parse(source)
        docstring = ast.get_docstring(tree) or ""
        named = {"LOSES": [], "PATCHES": {}}
        functions, helpers = {}, []
        for node in tree.body[1 if docstring else 0 :]:
            match node:
                case ast.FunctionDef(name=name):
                    start, end = first_line(node) - 1, node.end_lineno
                    functions[name] = "\n".join(source.split("\n")[start:end])
                case ast.Assign([ast.Name(("LOSES" | "PATCHES") as name)], value):
                    named[name] = ast.literal_eval(value)
                case _:
                    helpers.append(ast.get_source_segment(source, node) or "")
        loses = frozenset(named["LOSES"])
        return cls(docstring, loses, functions, named["PATCHES"], "\n".join(helpers))


def first_line(function: ast.FunctionDef) -> int:
    """The line on which a function begins, its decorators included."""
    return min([function, *function.decorator_list], key=lambda x: x.lineno).lineno


def patched(text: str, patches: dict[str, str]) -> str:
    """`text` with each old piece replaced by its new one.

    Raises ValueError where an old piece is not there exactly once, or changes nothing.
    """
    for old, new in patches.items():
        if (found := text.count(old)) != 1 or old == new:
            raise ValueError(f"{old!r} is there {found} times, and becomes {new!r}")
        text = text.replace(old, new)
    return text


def functions_of(cell: NotebookNode) -> dict[str, ast.FunctionDef]:
    """Return the top-level functions that a code cell defines."""
    body = ast.parse(cell.source).body
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def answered(nb: NotebookNode, answers: Answers) -> NotebookNode:
    """Return `nb` with each function that `answers` has or patches in place of its own.

    Functions that the notebook doesn't define are helpers: they go, with the imports,
    before the first answer. Raises ValueError where no function of the notebook is
    replaced, or a patch finds no function or not its text.
    """
    nb = copy.deepcopy(nb)
    cells = [cell for cell in nb.cells if role(cell) == "answer"]
    replaced: set[str] = set()
    for cell in cells:
        lines = cell.source.split("\n")
        for name, node in reversed(functions_of(cell).items()):
            if name not in answers.functions.keys() | answers.patches.keys():
                continue
            start, end = first_line(node) - 1, node.end_lineno
            # the closing marker is a comment behind the last statement
            if end < len(lines) and "### END SOLUTION" in lines[end]:
                end += 1
            text = answers.functions.get(name, "\n".join(lines[start:end]))
            lines[start:end] = patched(text, answers.patches.get(name, {})).split("\n")
            replaced.add(name)
        cell.source = "\n".join(lines)
    if missed := answers.patches.keys() - replaced:
        raise ValueError(f"the notebook has no function {sorted(missed)} to patch")
    if not replaced:
        raise ValueError(f"no function of the notebook is among {answers.functions}")
    helpers = [text for name, text in answers.functions.items() if name not in replaced]
    cells[0].source = "\n\n".join([answers.helpers, *helpers, cells[0].source])
    return nb


def borrowing(nb: NotebookNode, homework: str) -> NotebookNode:
    """Return `nb` whose every answer imports what the homework withholds."""
    nb = copy.deepcopy(nb)
    for cell in nb.cells:
        if role(cell) == "answer":
            line = f"import {WITHHELD[homework][0]}\n    {BEGIN}"
            cell.source = cell.source.replace(BEGIN, line)
    return nb


def mutants(name: str) -> dict[str, Answers]:
    """Read a homework's mutants: {name: answers}."""
    files = sorted((HERE / name / "mutants").glob("*.py"))
    return {path.stem: Answers.parse(path.read_text()) for path in files}


def alternatives(name: str) -> dict[str, Answers]:
    """Read the solutions of a homework that are right and written differently."""
    files = sorted((HERE / name).glob("alternative*.py"))
    return {path.stem: Answers.parse(path.read_text()) for path in files}


# ------------------------------------------------------------------ the class


def students(name: str) -> dict[str, NotebookNode]:
    """What each student submits; `stub` is the release itself, mutants are `joined`."""
    source = read(name)
    submissions = {
        "solution": source,
        "borrower": borrowing(source, name),
    }
    for student, answers in alternatives(name).items():
        submissions[student] = answered(source, answers)
    return submissions


def grade(name: str, root: Path) -> dict:
    """Grade the class of one homework under `root`; the report of grade_class.py.

    Raises RuntimeError, with what it said, where grading fails.
    """
    from joining import joined, taken_apart  # which reads this file's `answered`

    folder = root / "source" / name
    folder.mkdir(parents=True)
    nbformat.write(read(name), folder / f"{name}.ipynb")
    class_, together = students(name), {}
    for number, (nb, its) in enumerate(joined(read(name), mutants(name))):
        student = f"mutants_{number:02}"
        class_[student], together[student] = nb, its
    for student, nb in class_.items():
        folder = root / "submitted" / student / name
        folder.mkdir(parents=True)
        nbformat.write(nb, folder / f"{name}.ipynb")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, HERE / "grade_class.py", root, name],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": path},  # nbgrader looks for alembic there
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-3000:] + done.stderr[-6000:])
    report = json.loads((root / "report.json").read_text())
    report["submissions"] = len(report["grades"])
    return taken_apart(read(name), mutants(name), together, report)


def losses(grades: dict[str, dict]) -> dict[str, float]:
    """Return {grade_id: points lost} of one student's test cells."""
    lost = {}
    for grade_id, cell in grades.items():
        if not cell["manual"] and cell["score"] != cell["max"]:
            lost[grade_id] = cell["max"] - (cell["score"] or 0)
    return lost


def complaints(name: str, report: dict) -> list[str]:
    """Say what is wrong with the grades that the class got."""
    grades, points = report["grades"], graded(read(name))
    wrong = []
    for student in ("solution", *alternatives(name)):
        if lost := losses(grades[student]):
            wrong.append(f"{student} is right and loses {lost}")
    for student in ("stub", "borrower"):
        if (lost := losses(grades[student])) != points:
            wrong.append(f"{student} should lose {points}, and loses {lost}")
    for cell in grades["stub"].values():
        if cell["score"] != 0:
            wrong.append(f"stub has {cell['score']} where 0 is due (None: not graded)")
    for mutant, answers in mutants(name).items():
        lost = losses(grades[f"mutant_{mutant}"])
        if lost.keys() != answers.loses or not lost:
            wrong.append(
                f"mutant {mutant} ({answers.docstring}) should lose points at exactly "
                f"{sorted(answers.loses)}, and loses {lost}"
            )
    for student, state in report["states"].items():
        if state not in ("graded", "to be read"):
            wrong.append(f"{student} was {state}")
    if report["stock"] != grades["solution"]:
        wrong.append(f"stock nbgrader gives the solution {report['stock']}")
    validate, referee = report["check"]["validate"], report["check"]["referee"]
    for student in validate:
        if validate[student] != referee[student]:
            wrong.append(
                f"of the visible tests {student} fails {validate[student]} at Validate "
                f"and {referee[student]} with the referee"
            )
    if validate["solution"]:
        wrong.append(f"Validate is unhappy with right answers: {validate['solution']}")
    return wrong


def table(name: str, report: dict) -> str:
    """Return what every student lost, one a line."""
    points = graded(read(name))
    lines = [
        f"{name}: {sum(points.values()):g} points in tests; "
        f"Validate takes {report['check']['seconds']:.1f} s; "
        f"{report['submissions']} submissions graded in {report['seconds']:.1f} s"
    ]
    for student, grades in report["grades"].items():
        lost = losses(grades)
        where = ", ".join(f"{k} {v:g}" for k, v in lost.items()) or "nothing"
        lines.append(f"  {student:36} loses {sum(lost.values()):4g}: {where}")
    return "\n".join(lines)
