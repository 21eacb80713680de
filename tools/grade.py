"""Grade what lies in course/submitted, write feedback, and print who has what.

    python tools/grade.py [--homework hw_formats] [--student ada]

A submission is graded once, and again only when it is newer (its timestamp.txt) or when
its grade is missing.  Read in order: `main`, `grade`, `standing`, `table`.
"""

import argparse
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path

import homework

ROOT = Path(__file__).resolve().parents[1]
HEADER = ("student", "homework", "points", "of", "state")


def main() -> None:
    """Grade, then print the table; exit with 1 where a submission has no grade."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--homework", default="*")
    parser.add_argument("--student", default="*")
    arguments = parser.parse_args()
    pattern = f"{arguments.student}/{arguments.homework}"
    submissions = sorted(
        (path.parent.name, path.name)
        for path in (ROOT / "course" / "submitted").glob(pattern)
        if path.is_dir()
    )
    if not submissions:
        sys.exit(f"Nothing to grade: there is no course/submitted/{pattern}")
    # nbgrader 0.9.6 adds rows in an order that SQLAlchemy remarks on, three times each.
    warnings.filterwarnings("ignore", "Object of type", module="nbgrader")
    homework.release()  # the gradebook knows a homework once it is released
    with tempfile.TemporaryDirectory() as private:
        # A start-up file that a submission leaves, it leaves here: for one batch.
        os.environ |= {"IPYTHONDIR": private, "JUPYTER_RUNTIME_DIR": private}
        rows = [grade(student, name) for student, name in submissions]
    print(table(rows))
    sys.exit(any(row[-1].startswith("failed") for row in rows))


def grade(student: str, name: str) -> tuple[str, str, str, str, str]:
    """Autograde one submission, write its feedback, return its row of the table."""
    print(f"Grading {name} of {student} …", flush=True)
    api = homework.nbgrader_api(ROOT)
    result = api.autograde(name, student, force=False)
    if result["success"]:
        result = api.generate_feedback(name, student, force=True)
    if not result["success"]:
        return student, name, "–", "–", f"failed: {reason(result)}"
    return student, name, *standing(api, name, student)


def standing(api, name: str, student: str) -> tuple[str, str, str]:
    """The points, the most there are, and whether a person has still to read."""
    with api.gradebook as gradebook:
        submission = gradebook.find_submission(name, student)
        state = "to be read" if submission.needs_manual_grade else "graded"
        return f"{submission.score:g}", f"{submission.max_score:g}", state


def reason(result: dict) -> str:
    """The last error that nbgrader's log names: the one that made it give up."""
    log = result.get("log") or result["error"]
    named = re.findall(
        r"^\s*(?:\w+\.)*(\w+(?:Error|Exception): .+)$", log, re.MULTILINE
    )
    return named[-1] if named else log.strip().splitlines()[-1]


def table(rows: list[tuple[str, ...]]) -> str:
    """The rows under `HEADER`, in columns; a summary below."""
    widths = [max(len(row[i]) for row in [HEADER, *rows]) for i in range(len(HEADER))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in [HEADER, tuple("-" * width for width in widths), *rows]
    ]
    counts = {
        state: sum(row[-1].startswith(state) for row in rows)
        for state in ("graded", "to be read", "failed")
    }
    lines.append(", ".join(f"{count} {state}" for state, count in counts.items()))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
