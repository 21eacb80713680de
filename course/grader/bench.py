"""How fast a class is graded, beside stock nbgrader in the same run.

    python -m course.grader.bench stock [--homework hw_linear] [--submissions 120]
    python -m course.grader.bench class [--homework hw_linear] [--submissions 1000]
    python -m course.grader.bench validate [--homework hw_linear] [--submissions 3]

`stock` grades a class with ours, and every tenth of it with `nbgrader autograde` first;
it prints both wall times a submission, and fails where an honest one's grade differs.
`class` grades a synthetic class (mostly right and half right, some torn or quitting)
and prints submissions a minute, the grader's peak memory, and how many ended in each
state. `validate` presses a student's Validate so many times, all answers right, and
prints the processor's seconds, beside those of a notebook that only imports the same.

Read in order: `course_of`, `stock`, `class_`, `validate`.
"""

import argparse
import contextlib
import logging
import os
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil

from course.grader.terms import ROOT, Homework, Limits

HONEST = ("perfect", "partial", "stub")
SAMPLED = 10


def main() -> None:
    """Do what the command line says, in a folder that ends with it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["stock", "class", "validate"])
    parser.add_argument("--homework", default="hw_linear")
    parser.add_argument("--submissions", type=int)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ |= {"PATH": path, "VIRTUAL_ENV": sys.prefix}  # nbgrader calls alembic
    with tempfile.TemporaryDirectory() as folder:
        config, homework = course_of(Path(folder), arguments.homework)
        bench, usual = {
            "stock": (stock, 120),
            "class": (class_, 1000),
            "validate": (validate, 3),
        }[arguments.what]
        count = arguments.submissions or usual
        bench(Path(folder), config, homework, count, arguments.workers)


def course_of(root: Path, name: str) -> tuple:
    """A course in `root` with one homework released; its configuration, and that.

    Raises RuntimeError, with nbgrader's log, where it cannot be released.
    """
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import PyFileConfigLoader

    from lib.exercises.own_work import WITHHELD

    loader = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT / "course"))
    config = loader.load_config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.db_url = f"sqlite:///{root}/gradebook.db"
    config.CourseDirectory.source_directory = str(ROOT / "solutions")
    result = NbGraderAPI(config=config).generate_assignment(name)
    if not result["success"]:
        raise RuntimeError(result["log"])
    source = (ROOT / "solutions" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    release = (root / "release" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    return config, Homework(name, source, release, WITHHELD[name], Limits())


def hand_in(root: Path, homework: Homework, count: int, kinds: dict[str, int]) -> None:
    """Submissions of each kind, as often as their shares say."""
    from course.grader import demo

    makes = {
        "perfect": demo.perfect,
        "partial": demo.partial,
        "stub": lambda homework: homework.release,
        "odd": demo.odd,
        "quitter": demo.quitter,
        "torn": demo.torn,
    }
    texts = {kind: makes[kind](homework) for kind in kinds}
    turns = [kind for kind, share in kinds.items() for _ in range(share)]
    for number in range(count):
        kind = turns[number % len(turns)]
        folder = root / "submitted" / f"{kind}-{number:04}" / homework.name
        folder.mkdir(parents=True)
        (folder / f"{homework.name}.ipynb").write_text(texts[kind], encoding="utf-8")


def stock(root: Path, config, homework: Homework, count: int, workers: int) -> None:
    """Wall time a submission, ours on all of a class and stock on a part of it.

    Raises RuntimeError where nbgrader fails, SystemExit where the grades differ.
    """
    from nbgrader.apps import NbGraderAPI

    from course.grader.campaign import grade_class
    from course.grader.gradebook import Gradebook

    hand_in(root, homework, count, dict.fromkeys(HONEST, 1))
    everyone = sorted(path.name for path in (root / "submitted").iterdir())
    students = everyone[::SAMPLED]  # stock takes seconds for each
    api = NbGraderAPI(config=config, log_level="ERROR")

    def scores() -> dict[str, dict]:
        with Gradebook(config, root) as book:
            return {
                student: {
                    name: row.get("auto")
                    for name, row in book.scores(homework.name, student).items()
                }
                for student in students
            }

    start = time.perf_counter()
    for student in students:
        result = api.autograde(homework.name, student)
        if not result["success"]:
            raise RuntimeError(result["log"])
    theirs_s, theirs = (time.perf_counter() - start) / len(students), scores()
    start = time.perf_counter()
    grade_class(root, config, [homework], workers=workers)
    ours_s, ours = (time.perf_counter() - start) / count, scores()
    print(machine(workers))
    print(f"{homework.name}, {count} submissions, {len(students)} of them by stock")
    print(f"  nbgrader autograde  {theirs_s:7.2f} s a submission")
    print(f"  ours, start and all {ours_s:7.2f} s a submission")
    print(f"  stock / ours        {theirs_s / ours_s:7.1f}")
    differing = [student for student in students if ours[student] != theirs[student]]
    if differing:
        sys.exit(f"the grades differ: {differing}")
    print("  the grades are the same")


def class_(root: Path, config, homework: Homework, count: int, workers: int) -> None:
    """Submissions a minute, peak memory, and the states that a class ends in."""
    from course.grader.campaign import grade_class

    shares = {"perfect": 8, "partial": 6, "stub": 2, "odd": 2, "quitter": 1, "torn": 1}
    hand_in(root, homework, count, shares)
    start = time.perf_counter()
    with peak_memory() as peak:
        rows = grade_class(root, config, [homework], workers=workers)
    seconds = time.perf_counter() - start
    print(machine(workers))
    print(f"{homework.name}, {count} submissions in {seconds:.0f} s")
    print(f"  {60 * count / seconds:.0f} submissions a minute")
    print(f"  {peak[0] / 2**30:.2f} GB at the peak, of all processes together (PSS)")
    states = Counter("graded" if r.state == "to be read" else r.state for r in rows)
    print("  " + ", ".join(f"{number} {state}" for state, number in states.items()))


def validate(root: Path, config, homework: Homework, count: int, workers: int) -> None:
    """Processor seconds of the student's own check, and of its imports alone.

    Raises RuntimeError where it is not happy with the model answers.
    """
    import nbformat
    from nbgrader.validator import Validator

    from course.grader import demo
    from course.grader.desk import imported

    imports = "\n".join(f"import {name}" for name in imported(homework.release))
    start = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(imports)])
    notebooks = {"imports": nbformat.writes(start), "check": demo.perfect(homework)}
    print(f"{homework.name}, {count} times, {machine(workers)}")
    for name, text in notebooks.items():
        path = root / f"{name}.ipynb"
        path.write_text(text, encoding="utf-8")
        took = []
        for _ in range(count):
            before = processor_seconds()
            problems = Validator(config=config).validate(str(path))
            took.append(processor_seconds() - before)
            if problems.get("failed"):
                raise RuntimeError(f"Validate is unhappy: {problems['failed']}")
        print(f"  {name:8} {min(took):6.1f} to {max(took):.1f} s of the processor")


def processor_seconds() -> float:
    """What this process and those that it started, and ended, have used."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def machine(workers: int) -> str:
    """What it ran on, and how busy that was with other things."""
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return f"{workers} workers, {os.cpu_count()} cores, load {load}"


@contextlib.contextmanager
def peak_memory() -> Iterator[list[int]]:
    """The most memory of this process and all below it, looked at every second."""
    peak, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(1):
            family = [psutil.Process(), *psutil.Process().children(recursive=True)]
            found = 0
            for process in family:
                with contextlib.suppress(psutil.Error):
                    found += process.memory_full_info().pss
            peak[0] = max(peak[0], found)

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield peak
    finally:
        over.set()
        watch.join()


if __name__ == "__main__":
    main()
