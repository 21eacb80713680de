"""A student's way with homework: course/release → homework/ → course/submitted.

    python tools/homework.py start                      working copies, each made once
    python tools/homework.py renew hw_costs             the new one; the old one is kept
    python tools/homework.py validate [hw]              run the tests that you see
    python tools/homework.py submit --student ada [hw]  hand in, on this machine

A student's file is never written over.  Read in order: `start`, `renew`, `validate`,
`submit`.
"""

import argparse
import json
import os
import re
import shutil
import sys
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIG = Path("course") / "nbgrader_config.py"  # below the checkout
COLOUR = re.compile("\x1b\\[[0-9;]*m")
STUDENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def start(root: Path = ROOT) -> list[str]:
    """Make the working copies that are missing; return what there is to tell.

    `taken.json` remembers of which release a copy was made. A copy that is still as it
    was follows the release; one that was worked in stays, and its owner is told.
    """
    taken_file = root / "homework" / ".taken.json"
    taken, news = read_json(taken_file), []
    for released in sorted(root.glob("course/release/*/*.ipynb")):
        name = released.stem
        copy = root / "homework" / name / f"{name}.ipynb"
        digest = file_digest(released)
        if not copy.exists() or file_digest(copy) == taken.get(name):
            if digest != taken.get(name) or not copy.exists():
                copy_release(released.parent, copy.parent)
        elif taken.get(name) != digest and file_digest(copy) != digest:
            news.append(
                f"{name} was revised since you began; yours is untouched. "
                f"To take the new one and keep yours beside it: make renew HW={name}"
            )
            continue
        taken[name] = digest
        write_json(taken_file, taken)
    return news


def copy_release(released: Path, folder: Path) -> None:
    """Copy the files of one release, the notebook last, each whole or not at all."""
    for path in sorted(released.rglob("*"), key=lambda path: path.suffix == ".ipynb"):
        if path.is_file():
            target = folder / path.relative_to(released)
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(f".{target.name}.draft")
            shutil.copyfile(path, draft)
            draft.replace(target)


def renew(name: str, root: Path = ROOT) -> Path | None:
    """Take the new release of `name`; return where the student's own work is kept."""
    if not (root / "course" / "release" / name).is_dir():
        there = sorted(
            path.parent.name for path in root.glob("course/release/*/*.ipynb")
        )
        sys.exit(f"There is no homework {name!r}; there are: {listed(there)}")
    copy = root / "homework" / name / f"{name}.ipynb"
    kept = None
    if copy.exists():
        kept = copy.with_name(f"{name}.kept-{datetime.now():%Y%m%d-%H%M%S}.ipynb")
        copy.rename(kept)
    start(root)
    return kept


def brought_up_to_date(*, gradebook: bool = False) -> None:
    """Release what changed, in a checkout; a handout has its releases already."""
    if Path(__file__).with_name("release.py").exists():
        import release

        release.release(gradebook=gradebook)


def validate(names: list[str], root: Path = ROOT) -> bool:
    """Run the visible tests of working copies, say what fails; whether none does."""
    written = sorted({path.parent.name for path in root.glob("homework/*/*.ipynb")})
    if not written:
        sys.exit("There is no homework yet: make lab makes your copies.")
    if unknown := sorted(set(names) - set(written)):
        sys.exit(f"There is no homework/{unknown[0]}; you have: {listed(written)}")
    import lab_settings

    os.environ |= activated() | lab_settings.data_path()
    from nbgrader.validator import Validator

    config, whole = configuration(root), True
    for name in names or written:
        path = root / "homework" / name / f"{name}.ipynb"
        try:
            found = Validator(config=config).validate(str(path))
        except (ValueError, OSError, RuntimeError) as error:  # a torn file, no kernel
            why = str(error).strip().partition("\n")[0][:200]
            print(f"{name} can't be checked: {why}", flush=True)
            whole = False
            continue
        print(verdict(name, found), flush=True)
        whole &= not found
    return whole


def verdict(name: str, found: dict[str, list[dict[str, str]]]) -> str:
    """What Validate found in a homework, a line for each test that does not pass."""
    if not found:
        return f"{name}: all tests that you see pass."
    if "failed" not in found:
        return f"{name}: cells that are not yours were changed: make renew HW={name}"
    said = []
    for error in found["failed"]:
        lines = COLOUR.sub("", error["raw_error"]).strip().splitlines()
        said.append(lines[-1].rstrip(" :") if lines else "no word of why")
    return "\n  ".join([f"{name}: {len(said)} of its tests don't pass yet", *said])


def submit(student: str, names: list[str], root: Path = ROOT) -> list[str]:
    """Hand in the working copies as `student`; return the names of those."""
    if not STUDENT_NAME.fullmatch(student):
        sys.exit(f"STUDENT={student!r} may have letters, digits, '.', '_', '-'.")
    written = sorted({path.parent.name for path in root.glob("homework/*/*.ipynb")})
    if not written:
        sys.exit("There is no homework yet: make lab makes your copies.")
    for name in names or written:
        copy = root / "homework" / name / f"{name}.ipynb"
        if not copy.exists():
            sys.exit(f"There is no homework/{name}; you have: {listed(written)}")
        folder = root / "course" / "submitted" / student / name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(copy, folder / copy.name)
        stamp = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f UTC}"
        (folder / "timestamp.txt").write_text(stamp, encoding="utf-8")
    return names or written


# Small things


def configuration(root: Path = ROOT):
    """What course/nbgrader_config.py says, in an object of one's own to change."""
    from traitlets.config import Config, PyFileConfigLoader

    # By its whole name: in the name of a folder traitlets expands a dollar sign.
    return Config(PyFileConfigLoader(str(root / CONFIG)).load_config())


def activated() -> dict[str, str]:
    """The variables by which programs of this Python's environment are found."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {"PATH": path, "VIRTUAL_ENV": sys.prefix}


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return sha256(path.read_bytes()).hexdigest()


def read_json(path: Path) -> dict:
    """The object in `path`; empty where there is none, or half of one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}


def write_json(path: Path, content: dict) -> None:
    """Write all of `content` or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
    draft.replace(path)


def listed(names: list[str]) -> str:
    """The names, for a message."""
    return ", ".join(names) or "none"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["start", "renew", "validate", "submit"])
    parser.add_argument("homework", nargs="*")
    parser.add_argument("--student", default=os.environ.get("USER", "student"))
    arguments = parser.parse_intermixed_args()
    names = arguments.homework
    if arguments.verb == "submit":
        for name in submit(arguments.student, names):
            print(f"Handed in {name} as {arguments.student}.")
    elif arguments.verb == "validate":
        sys.exit(not validate(names))
    else:
        brought_up_to_date()
        if arguments.verb == "renew" and not names:
            sys.exit("Which one? make renew HW=hw_costs")
        for name in names if arguments.verb == "renew" else ():
            kept = renew(name)
            print(f"{name} is new." + (f" Your work: {kept}" if kept else ""))
        if arguments.verb == "start":
            print("\n".join(start()), end="")


if __name__ == "__main__":
    main()
