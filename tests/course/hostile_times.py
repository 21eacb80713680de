"""A class with the hostile members of test_hostile_class.py, beside it without them.

    python tests/course/hostile_times.py [--homework hw_formats] [--honest 30]

Prints what grading and feedback cost both, in processor seconds and on the clock, start
included, and how all ended.

Read in order: `main`, `join`.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

from test_hostile_class import FORGED, MORE, STAMPS, png  # noqa: E402

from course.grader import bench  # noqa: E402
from course.grader.cost import counted  # noqa: E402
from course.grader.demo import answered  # noqa: E402
from course.grader.gradebook import Gradebook  # noqa: E402
from course.grader.judging.places import is_answer  # noqa: E402


def main() -> None:
    """Grade both classes, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--homework", default="hw_formats")
    parser.add_argument("--honest", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    bench.activate()
    print(bench.machine(arguments.workers))
    for hostile in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            config, homework = bench.course_of(root, arguments.homework)
            kinds = dict.fromkeys(bench.HONEST, 1)
            bench.hand_in(root, homework, arguments.honest, kinds)
            if hostile:
                join(root, homework)
            there = len(list((root / "submitted").iterdir()))
            cost = counted(
                *("-m", "course.grader.bench", "ours", "--homework", homework.name),
                *("--root", root, "--workers", str(arguments.workers)),
            )
            pages = len(list(root.glob("feedback/*/*/*.html")))
            with Gradebook(config, root) as book:
                students = [path.name for path in (root / "submitted").iterdir()]
                stamps = [book.stamp_of(homework.name, who) for who in students]
            states = [stamp.state if stamp else "failed" for stamp in stamps]
            told = ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states)))
            print(f"{there:4} submissions {cost}; {told}; {pages} pages", flush=True)


def join(root: Path, homework) -> None:
    """Have the hostile members hand in: right answers, and what they bring."""

    def hand_in(student: str, notebook, stamp: str | None = None) -> None:
        folder = root / "submitted" / student / homework.name
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / f"{homework.name}.ipynb")
        if stamp:
            (folder / "timestamp.txt").write_text(stamp)

    def pasted(picture: str):
        notebook = answered(homework)
        written = next(c for c in notebook.cells if c.cell_type == "markdown")
        for cell in notebook.cells:
            if cell.cell_type == "markdown" and is_answer(cell):
                written = cell
        written.source = "So: ![image.png](attachment:image.png)"
        written.attachments = {"image.png": {"image/png": picture}}
        return notebook

    def says(line: str):
        notebook = answered(homework)
        cell = next(c for c in notebook.cells if is_answer(c) and c.cell_type == "code")
        cell.source += f"\n\n{line}"
        return notebook

    for student, cell in MORE.items():
        notebook = answered(homework)
        notebook.cells.append(cell)
        hand_in(student, notebook)
    hand_in("pasted", pasted(png(3, 1)))
    hand_in("huge", pasted(png(40_000, 40_000)))
    hand_in("printer", says(f"print({FORGED!r}, '\\n', {FORGED!r})"))
    hand_in("raiser", says(f"raise ValueError('no\\n{FORGED}')"))
    hand_in("quitter", says("import os\nos._exit(0)"))
    hand_in("flood", says("import sys\nsys.stdout.write('x' * 200_000_000)"))
    hand_in("blocked", answered(homework))
    (root / "autograded").mkdir(exist_ok=True)
    (root / "autograded" / "blocked").write_text("in the way")
    for student, (stamp, _) in STAMPS.items():
        hand_in(student, answered(homework), stamp)
    shutil.rmtree(root / "feedback", ignore_errors=True)


if __name__ == "__main__":
    main()
