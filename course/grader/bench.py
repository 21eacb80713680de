"""How fast a class is graded, beside stock nbgrader in the same run.

    python -m course.grader.bench stock [--homework hw_linear] [--submissions 120]
    python -m course.grader.bench class [--homework hw_linear] [--submissions 1000]
    python -m course.grader.bench validate [--homework hw_linear] [--submissions 3]

`stock` has a class graded and its feedback written with ours, as `make grade` does, and
a part of it with `nbgrader autograde` and `generate_feedback` first. Each is a process
of its own, start and imports included; it prints the processor seconds and the wall
time of both, and fails where an honest one's grade differs.
`class` grades a synthetic class (mostly right and half right, some torn or quitting)
and prints submissions a minute, the grader's peak memory, and how many ended in each
state. `validate` presses a student's Validate so many times, all answers right, and
prints the processor's seconds, beside those of a notebook that only imports the same.

Read in order: `stock`, `class_`, `validate`.
"""

import argparse
import contextlib
import logging
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil

from course.grader.cost import Cost, counted, processor_seconds
from course.grader.terms import ROOT, Homework, Limits

HONEST = ("perfect", "partial", "stub")
SAMPLED = 9  # of a class by stock, which takes seconds for each


def main() -> None:
    """Do what the command line says, in a folder that ends with it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "what", choices=["stock", "class", "validate", "ours", "theirs"]
    )
    parser.add_argument("--homework", default="hw_linear")
    parser.add_argument("--submissions", type=int)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    activate()
    if arguments.root:  # a part, in a process of its own
        part = {"ours": ours, "theirs": theirs}[arguments.what]
        return part(arguments.root, arguments.homework, arguments.workers)
    with tempfile.TemporaryDirectory() as folder:
        config, homework = course_of(Path(folder), arguments.homework)
        bench, usual = {
            "stock": (stock, 120),
            "class": (class_, 1000),
            "validate": (validate, 3),
        }[arguments.what]
        count = arguments.submissions or usual
        bench(Path(folder), config, homework, count, arguments.workers)


# ------------------------------------------------------------------ a course


def activate() -> None:
    """Let nbgrader find what it calls by name (alembic), and say less."""
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ |= {"PATH": path, "VIRTUAL_ENV": sys.prefix}


def configuration(root: Path):
    """The course's configuration, moved into `root`."""
    from traitlets.config import PyFileConfigLoader

    loader = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT / "course"))
    config = loader.load_config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.db_url = f"sqlite:///{root}/gradebook.db"
    config.CourseDirectory.source_directory = str(ROOT / "solutions")
    return config


def released(root: Path, name: str) -> Homework:
    """A homework that was released in `root`."""
    from lib.exercises.own_work import WITHHELD

    source = (ROOT / "solutions" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    release = (root / "release" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    return Homework(name, source, release, WITHHELD[name], Limits())


def course_of(root: Path, name: str) -> tuple:
    """A course in `root` with one homework released; its configuration, and that.

    Raises RuntimeError, with nbgrader's log, where it cannot be released.
    """
    from nbgrader.apps import NbGraderAPI

    config = configuration(root)
    result = NbGraderAPI(config=config).generate_assignment(name)
    if not result["success"]:
        raise RuntimeError(result["log"])
    return config, released(root, name)


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
    """The cost of a submission, ours on all of a class and stock on a part of it.

    Raises CalledProcessError where one fails, SystemExit where the grades differ.
    """
    from course.grader.gradebook import Gradebook

    hand_in(root, homework, count, dict.fromkeys(HONEST, 1))
    sample = sampled(root)

    def scores() -> dict[str, dict]:
        with Gradebook(config, root) as book:
            return {
                student: {
                    name: row.get("auto")
                    for name, row in book.scores(homework.name, student).items()
                }
                for student in sample
            }

    def cost(part: str) -> Cost:
        where = ("--root", root, "--workers", str(workers))
        own = ("-m", "course.grader.bench", part, "--homework", homework.name)
        return counted(*own, *where)

    stock_cost, stock_scores = cost("theirs"), scores()
    our_cost, our_scores = cost("ours"), scores()
    one, other = stock_cost.processor / len(sample), our_cost.processor / count
    print(machine(workers))
    print(f"{homework.name}, start, grades and feedback:")
    print(f"  nbgrader, {len(sample):4} submissions {stock_cost}: {one:6.2f} for each")
    print(f"  ours,     {count:4} submissions {our_cost}: {other:6.2f} for each")
    print(f"  stock / ours, of the processor: {one / other:.1f}")
    if differing := [who for who in sample if our_scores[who] != stock_scores[who]]:
        sys.exit(f"the grades differ: {differing}")
    print("  the grades are the same")


def sampled(root: Path) -> list[str]:
    """Some of those who handed in, as many of each kind."""
    everyone = sorted(path.name for path in (root / "submitted").iterdir())
    kinds = [[who for who in everyone if who.startswith(kind)] for kind in HONEST]
    return [who for kind in kinds for who in kind[: SAMPLED // len(kinds)]]


def ours(root: Path, name: str, workers: int) -> None:
    """What `make grade` does, in the course at `root`."""
    from course.grader.campaign import grade_class
    from course.grader.returns import return_feedback

    config = configuration(root)
    grade_class(root, config, [released(root, name)], workers=workers)
    return_feedback(root, config, [name])


def theirs(root: Path, name: str, _: int) -> None:
    """What nbgrader's two commands do, for a part of the class.

    Raises RuntimeError, with its log, where one fails.
    """
    from nbgrader.apps import NbGraderAPI

    api = NbGraderAPI(config=configuration(root), log_level="ERROR")
    for student in sampled(root):
        for verb in (api.autograde, api.generate_feedback):
            if not (result := verb(name, student))["success"]:
                raise RuntimeError(result["log"])


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
