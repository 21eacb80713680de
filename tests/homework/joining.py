"""Several mutants hand in one notebook, where none of them can touch another's points.

    reach of a function = the tests that name it, themselves or through what they call
    mutants whose reaches are disjoint ──→ one submission ──→ each mutant's grades

To grade a notebook costs what all of its tests cost, and a mutant changes one exercise.
What is lost within the reach of a mutant is that mutant's loss, since nothing else in
the notebook that is wrong gets there; what is lost beyond all reaches is held against
every mutant of the notebook.

Read in order: `reach`, `joined`, `taken_apart`.
"""

import ast
import copy
import re
from collections import defaultdict

from gates import Answers, answered, functions_of, role
from nbformat import NotebookNode


def names(tree: ast.AST) -> set[str]:
    """The names that some code takes from outside its functions."""
    found = {tree.id} if isinstance(tree, ast.Name) else set()
    for child in ast.iter_child_nodes(tree):
        found |= names(child)
    if isinstance(tree, ast.FunctionDef | ast.Lambda):
        found -= {node.arg for node in ast.walk(tree.args) if isinstance(node, ast.arg)}
        stored = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
        found -= {node.id for node in stored if isinstance(node.ctx, ast.Store)}
    return found


def reach(nb: NotebookNode) -> dict[str, set[str]]:
    """{function of an answer: grade_ids of the tests that can come to it}."""
    uses: dict[str, set[str]] = defaultdict(set)  # by any function at top level
    tests: dict[str, set[str]] = {}
    for cell in nb.cells:
        if cell.cell_type != "code" or role(cell) is None:
            continue
        tree = ast.parse(cell.source)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                uses[node.name] |= names(node)
        if role(cell) == "test":
            tests[cell.metadata.nbgrader.grade_id] = names(tree)
    found = defaultdict(set)
    for grade_id, todo in tests.items():
        seen: set[str] = set()
        while todo:
            seen |= todo
            todo = set().union(*(uses.get(name, ()) for name in todo)) - seen
        for name in seen:
            found[name].add(grade_id)
    cells = (cell for cell in nb.cells if role(cell) == "answer")
    return {name: found[name] for cell in cells for name in functions_of(cell)}


def reached(answers: Answers, reaches: dict[str, set[str]]) -> set[str]:
    """The tests that may see a mutant, and those where it should lose."""
    changed = answers.functions.keys() | answers.patches.keys()
    new = f"{answers.functions} {answers.patches}"  # may call what others change
    called = reaches.keys() & set(re.findall(r"\w+", new))
    return set(answers.loses).union(*(reaches.get(n, ()) for n in changed | called))


def joined(
    nb: NotebookNode, mutants: dict[str, Answers]
) -> list[tuple[NotebookNode, list[str]]]:
    """The submissions in which all mutants go: (notebook, names of its mutants).

    Two that bring helpers stay apart: their helpers might have one name.
    """
    reaches = reach(nb)
    rooms: list[tuple[set[str], list[str]]] = []  # what is reached, names
    for name, answers in mutants.items():
        mine = reached(answers, reaches)
        if answers.functions.keys() - reaches or not only_imports(answers.helpers):
            mine.add("helpers")
        for taken, together in rooms:
            if not taken & mine:
                taken |= mine
                together.append(name)
                break
        else:
            rooms.append((mine, [name]))
    found = []
    for _, together in rooms:
        mixed = nb
        for name in together:
            mixed = answered(mixed, mutants[name])
        found.append((mixed, together))
    return found


def only_imports(source: str) -> bool:
    """Whether these statements import, and do nothing else."""
    body = ast.parse(source).body
    return all(isinstance(node, ast.Import | ast.ImportFrom) for node in body)


def taken_apart(
    nb: NotebookNode,
    mutants: dict[str, Answers],
    together: dict[str, list[str]],
    report: dict,
) -> dict:
    """The report as if each mutant had handed in alone; `together` are a student's."""
    reaches, report = reach(nb), copy.deepcopy(report)
    for student, its in together.items():
        grades, state = report["grades"].pop(student), report["states"].pop(student)
        for name in its:
            others = [reached(mutants[k], reaches) for k in its if k != name]
            own = copy.deepcopy(grades)
            for grade_id in own.keys() & set().union(*others):
                own[grade_id]["score"] = own[grade_id]["max"]
            report["grades"][f"mutant_{name}"] = own
            report["states"][f"mutant_{name}"] = state
    return report
