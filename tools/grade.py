"""Grade what lies in course/submitted, write feedback, and print who has what.

    python tools/grade.py [--homework hw_formats] [--student ada]     grade what is new
    python tools/grade.py --cluster tcp://scheduler:8786              on a Dask cluster
    python tools/grade.py feedback        the pages once more, after reading and marking
    python tools/grade.py collect --zip submissions.zip --homework hw_formats
    python tools/grade.py grades --sheet worksheet.csv --homework hw_formats
    python tools/grade.py demo [--remove]         a made-up class, to have a look around

The work is course/grader's.  Read in order: `main`, `grade`, `homeworks`.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import homework
import release

if TYPE_CHECKING:
    from course.grader.returns import Returned

ROOT = Path(__file__).resolve().parents[1]
COURSE = ROOT / "course"
UNBOXED = "--without-a-box-i-trust-every-student"
AGAIN = "What is graded stays; run it again for the rest."


def main() -> None:
    """Do what the command line says; foreseeable trouble is one line, status 1."""
    arguments = parse()
    sys.path.insert(0, str(ROOT))
    import course.grader  # noqa: F401 (first: it spares what follows a second)

    os.environ |= homework.activated()  # nbgrader calls alembic by name
    from nbgrader.api import InvalidEntry
    from sqlalchemy.exc import OperationalError

    from course.grader.gradebook import Busy
    from course.grader.terms import NoBox

    verbs = {"grade": grade, "feedback": feedback, "collect": collect, "demo": demo}
    verbs["grades"] = grades
    try:
        sys.exit(verbs[arguments.verb](arguments))
    except (OperationalError, InvalidEntry) as error:  # nbgrader wraps some of them
        cause = error if isinstance(error, OperationalError) else error.__context__
        why = getattr(cause, "orig", error)
        sys.exit(f"The gradebook can't be written ({why}). {AGAIN}")
    except (NoBox, Busy, ValueError) as why:
        sys.exit(str(why))
    except OSError as error:
        sys.exit(f"{error}. {AGAIN}")
    except KeyboardInterrupt:
        sys.exit(f"Interrupted. {AGAIN}")


def parse() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = ["grade", "feedback", "collect", "grades", "demo"]
    parser.add_argument("verb", nargs="?", choices=verbs, default="grade")
    parser.add_argument("--homework", help="only this one")
    parser.add_argument("--student", help="only this one")
    parser.add_argument("--force", action="store_true", help="grade all of it again")
    parser.add_argument("--cluster", help="the address of a Dask scheduler")
    parser.add_argument("--workers", type=int, help="processes on this machine")
    parser.add_argument(
        UNBOXED,
        dest="boxed",
        action="store_false",
        help="run their code as yourself: it can read and write all that you can",
    )
    parser.add_argument("--zip", type=Path, help="what the LMS gave")
    parser.add_argument("--scheme", help="how it names students, where it can't tell")
    parser.add_argument("--names", type=Path, help="a CSV: the LMS's name, student")
    parser.add_argument("--sheet", type=Path, help="the worksheet that the LMS gave")
    parser.add_argument("--out", type=Path, help="where the filled one goes")
    parser.add_argument("--column", help="the header of the column to fill")
    parser.add_argument(
        "--scale", action="store_true", help="grades to another maximum"
    )
    parser.add_argument("--zone", help="of the zip's times, as Europe/Berlin")
    parser.add_argument(
        "--entry-times", action="store_true", help="take the times of the zip's entries"
    )
    parser.add_argument("--dry-run", action="store_true", help="say it, do not do it")
    parser.add_argument("--verbose", action="store_true", help="a line for each file")
    parser.add_argument("--remove", action="store_true", help="end the demonstration")
    return parser.parse_args()


# ------------------------------------------------------------------ the verbs


def grade(arguments: argparse.Namespace) -> int:
    """Grade what is new, write its feedback, print the table; 1 if one has no grade.

    Raises SystemExit where nothing was submitted.
    """
    from course.grader.campaign import grade_class
    from course.grader.returns import return_feedback
    from course.grader.table import table

    who = f"{arguments.student or '*'}/{arguments.homework or '*'}"
    found = {path.name for path in COURSE.glob(f"submitted/{who}") if path.is_dir()}
    chosen = [h for h in homeworks(arguments.boxed) if h.name in found]
    if not chosen:
        sys.exit(f"Nothing to grade: there is no course/submitted/{who}")
    students = [arguments.student] if arguments.student else None
    rows = grade_class(
        COURSE,
        configuration(),
        chosen,
        students=students,
        cluster=arguments.cluster,
        workers=arguments.workers,
        force=arguments.force,
    )
    pages = return_feedback(COURSE, configuration(), sorted(found), students)
    print(table(rows))
    return told(pages) or int(any(row.state == "failed" for row in rows))


def feedback(arguments: argparse.Namespace) -> int:
    """Write the pages that a person's marks and comments changed; 1 if one fails."""
    from course.grader.returns import return_feedback

    names = [arguments.homework] if arguments.homework else release.sources()
    students = [arguments.student] if arguments.student else None
    pages = return_feedback(COURSE, configuration(), names, students)
    print(f"{len(pages.changed)} pages of feedback are new, in course/feedback")
    return told(pages)


def told(pages: "Returned") -> int:
    """Say whose page of feedback could not be made; 1 if there is one."""
    from course.grader.words import line

    for (student, name), why in pages.failed.items():
        print(f"{line(student)} has no feedback on {name}: {why}")
    return int(bool(pages.failed))


def collect(arguments: argparse.Namespace) -> int:
    """Lay a zip's notebooks in course/submitted; 1 if something needs a look.

    Raises SystemExit where there is no zip or no such homework.
    """
    from course.grader.zips.collect import Options, collect
    from course.grader.zips.report import report
    from course.grader.zips.students import Table, read_table
    from course.grader.zips.times import zone_of

    if not arguments.zip or arguments.homework not in release.sources():
        names = homework.listed(release.sources())
        sys.exit(f"Which ones? make collect ZIP=submissions.zip HW=…, one of: {names}")
    options = Options(
        scheme=arguments.scheme,
        table=read_table(arguments.names) if arguments.names else Table(),
        zone=zone_of(arguments.zone) if arguments.zone else None,
        entry_times=arguments.entry_times,
        releases=grade_ids(),
        dry_run=arguments.dry_run,
    )
    found = collect(arguments.zip, arguments.homework, COURSE / "submitted", options)
    print(report(found, options, arguments.verbose))
    return int(bool(found.refused or found.missing))


def grades(arguments: argparse.Namespace) -> int:
    """Fill an LMS's worksheet, beside it; 1 if somebody graded is not in it.

    Raises SystemExit where there is no worksheet, homework or gradebook.
    """
    from course.grader.gradebook import Gradebook, replace_file
    from course.grader.worksheets.fill import fill
    from course.grader.worksheets.layouts import layout
    from course.grader.worksheets.sheet import Sheet
    from course.grader.zips.students import Table, read_table

    name, sheet = arguments.homework, arguments.sheet
    if not sheet or name not in release.sources():
        names = homework.listed(release.sources())
        sys.exit(f"Which ones? make grades SHEET=worksheet.csv HW=…, one of: {names}")
    if not (COURSE / "gradebook.db").exists():
        sys.exit("Nothing is graded yet: make grade")
    out = arguments.out or sheet.with_name(f"{sheet.stem}-filled.csv")
    read = Sheet.read(sheet)
    place = layout(read, name, arguments.column)
    with Gradebook(configuration(), COURSE) as book:
        standings, points = book.standings(name), book.points(name)
    table = read_table(arguments.names) if arguments.names else Table()
    filled = fill(read, place, standings, points, table=table, scale=arguments.scale)
    print(filled.report())
    if count := read.formulas():
        print(f"{count} cells could run as formulas: open it in the LMS alone.")
    if not arguments.dry_run:
        if out.exists() and out.samefile(sheet):
            sys.exit("OUT= is the worksheet itself, which stays as the LMS gave it")
        replace_file(out, read.written(filled.cells))
        print(f"Upload {out}")
    return int(not filled.whole)


def demo(arguments: argparse.Namespace) -> int:
    """A made-up class beside no real one, graded; or end it."""
    from course.grader import demo

    if arguments.remove:
        demo.remove(COURSE, configuration())
        return 0
    demo.build(COURSE, configuration(), homeworks())
    arguments.student = None
    return grade(arguments)


# ------------------------------------------------------------------ the course


def configuration():
    """The course's own nbgrader configuration."""
    return homework.configuration(ROOT)


def grade_ids() -> dict[str, frozenset[str]]:
    """{homework: the grade ids of its cells}."""

    def ids(name: str) -> frozenset[str]:
        text = (ROOT / "solutions" / name / f"{name}.ipynb").read_text("utf-8")
        cells = json.loads(text)["cells"]
        marks = [cell["metadata"].get("nbgrader", {}) for cell in cells]
        return frozenset(mark["grade_id"] for mark in marks if "grade_id" in mark)

    return {name: ids(name) for name in release.sources()}


def homeworks(boxed: bool = True) -> list:
    """Every homework, released, with what it withholds."""
    from course.grader.terms import Homework, Limits
    from lib.exercises.own_work import WITHHELD

    release.release(gradebook=True)
    return [
        Homework(
            name,
            (ROOT / "solutions" / name / f"{name}.ipynb").read_text(encoding="utf-8"),
            (COURSE / "release" / name / f"{name}.ipynb").read_text(encoding="utf-8"),
            WITHHELD.get(name, ()),
            Limits(),
            boxed,
            hidden(),
        )
        for name in release.sources()
    ]


def hidden() -> tuple[str, ...]:
    """Where solutions, grades and others' work lie, if not in the checkout."""
    config = configuration()
    course, exchange = config.CourseDirectory, config.Exchange
    root = Path(course.get("root", COURSE))
    found = [root, root / course.get("source_directory", "source")]
    found += [Path(exchange[name]) for name in ("root", "cache") if name in exchange]
    if database := course.get("db_url", "").partition("sqlite:///")[2]:
        found.append(Path(database))
    return tuple(os.path.abspath(path) for path in found)


if __name__ == "__main__":
    main()
