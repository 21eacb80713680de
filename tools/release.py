"""A homework as students get it: solutions/ → course/release, stubs and visible tests.

    python tools/release.py        build what changed in solutions/

What is up to date is seen by hash, so that nothing heavy is imported then. A gradebook
holds every hidden test and the due dates of course/syllabus.yml: only an instructor's
verbs write one.  Read in order: `release`, `set_due_dates`, `fingerprint`.
"""

import os
import sys
from hashlib import sha256
from pathlib import Path

import syllabus
from homework import CONFIG, activated, configuration, read_json, write_json

ROOT = Path(__file__).resolve().parents[1]


def sources(root: Path = ROOT) -> list[str]:
    """The names of all homeworks that have a source."""
    return sorted(path.stem for path in root.glob("solutions/*/*.ipynb"))


def release(root: Path = ROOT, *, gradebook: bool = False) -> list[str]:
    """Build the student version of each homework whose source changed; return those.

    A gradebook holds every hidden test, so nothing is written into one unless
    `gradebook` asks for it, as an instructor's verbs do; each has stamps of its own.
    """
    stamps_file = root / "course" / "release" / ".stamps.json"
    stamps = read_json(stamps_file)
    known = stamps.setdefault("in the gradebook", {})
    if not (root / "course" / "gradebook.db").exists():
        known.clear()  # a new gradebook must hear of every homework
        stamps["due in the gradebook"] = {}
    done = [stamps, known] if gradebook else [stamps]
    now = {name: fingerprint(root, name) for name in sources(root)}
    stale = [name for name in now if any(d.get(name) != now[name] for d in done)]
    if stale:
        print("Preparing the homework: some seconds, once.", flush=True)
        api = nbgrader_api(root, gradebook=gradebook)
    for name in stale:
        result = api.generate_assignment(name)
        if not result["success"]:
            sys.exit(f"{name} can't be released. nbgrader says:\n{result['log']}")
        for stamp in done:
            stamp[name] = now[name]
        write_json(stamps_file, stamps)
    if gradebook:
        set_due_dates(root, stamps_file)
    return stale


def set_due_dates(root: Path, stamps_file: Path) -> None:
    """Write the syllabus's due dates into the gradebook, where they changed.

    A date that was set elsewhere stays until the syllabus says another.
    """
    stamps = read_json(stamps_file)
    known = stamps.setdefault("due in the gradebook", {})
    due = syllabus.read(root).due_dates()
    changed = {
        name: when
        for name, date in due.items()
        if name in sources(root) and known.get(name) != (when := syllabus.utc(date))
    }
    if changed:
        from nbgrader.api import Gradebook

        settings = configuration(root).CourseDirectory
        with Gradebook(settings.db_url, settings.course_id) as book:
            for name, when in changed.items():
                book.update_or_create_assignment(name, duedate=when)
        known |= changed
    write_json(stamps_file, stamps)


def fingerprint(root: Path, name: str) -> str:
    """A hash of everything that decides the release of homework `name`."""
    files = [
        path
        for path in sorted((root / "solutions" / name).rglob("*"))
        if path.is_file() and ".ipynb_checkpoints" not in path.parts
    ]
    total = sha256((root / CONFIG).read_bytes())
    for path in files:
        total.update(f"\0{path.relative_to(root)}\0".encode() + path.read_bytes())
    return total.hexdigest()


def nbgrader_api(root: Path = ROOT, *, gradebook: bool = True):
    """nbgrader, configured by course/nbgrader_config.py.  Its import takes seconds."""
    from nbgrader.apps import NbGraderAPI

    os.environ |= activated()  # nbgrader calls alembic, and kernels, by name
    config = configuration(root)
    if not gradebook:  # as `nbgrader generate_assignment --no-db`
        config.GenerateAssignment.no_database = True
        config.SaveCells.enabled = False
    return NbGraderAPI(config=config)


def main() -> None:
    """Release, and say what."""
    for name in release():
        print(f"Released {name}.")


if __name__ == "__main__":
    main()
