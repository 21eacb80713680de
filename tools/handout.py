"""What an instructor gives away: lectures, lib and released homework, and nothing else.

    python tools/handout.py [--week 3] [--without hw_kernels 16_kernels] [--out x.zip]

    Makefile, README, environment      ─┐ cut to what a student has
    tools, course/jupyter, its config  ─┤
    lib, notebooks                     ─┼→ a zip that works alone
    course/release/HW/HW.ipynb         ─┘ as released: no solution, no hidden test

What git does not track is not given away, and told; where there is no git, only files
of known kinds are. Weeks are those of course/syllabus.yml. The zip is the same byte for
byte whenever its content is.  Read in order: `handout`, `library`, `for_students`.
"""

import argparse
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import release
import syllabus

ROOT = Path(__file__).resolve().parents[1]
TOP = "llm-compression"  # the folder in the zip
WHOLE = (
    *("LICENSE", "CITATION.cff", "constraints.txt", "environment.yml"),
    *(".gitattributes", "course/jupyter/jupyter_server_config.json"),
    *(f"tools/{name}.py" for name in ("environment", "homework", "lab", "watch")),
    *("tools/lab_settings.py", "tools/data-packages.txt"),
)
FOLDERS = ("lib", "course/jupyter")
KINDS = {".py", ".json", ".md", ".txt", ".mplstyle", ".safetensors"}  # without git
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first day that a zip knows
PLAIN = 0o100644 << 16  # a file that anybody reads and nobody runs
Files = dict[str, bytes]


def handout(root: Path, term: syllabus.Syllabus) -> Files:
    """{path: content} of what students get for the lectures and homework of `term`.

    Raises ValueError where a lecture or a released homework is not there.
    """
    files = {name: (root / name).read_bytes() for name in WHOLE}
    for folder in FOLDERS:
        files |= {p: (root / p).read_bytes() for p in library(root, folder)}
    for row in term.rows:
        wanted = [f"notebooks/{row.lecture}.ipynb"]
        if row.homework:
            wanted.append(f"course/release/{row.homework}/{row.homework}.ipynb")
        for path in wanted:
            if not (root / path).is_file():
                raise ValueError(f"there is no {path}, which {syllabus.FILE} names")
            files[path] = (root / path).read_bytes()
    cut = {
        "Makefile": lambda text: for_students(text) + "\ntest: validate ## the same\n",
        "course/nbgrader_config.py": for_students,
        "pyproject.toml": packages_alone,
    }
    for name, change in cut.items():
        files[name] = change((root / name).read_text(encoding="utf-8")).encode()
    readme = (root / "course" / "handout.md").read_text(encoding="utf-8")
    rows = (root / "README.md").read_text(encoding="utf-8")
    files["README.md"] = described(readme, rows, term).encode()
    return dict(sorted(files.items()))


def library(root: Path, folder: str) -> list[str]:
    """The files below `folder` that are the course's, sorted."""
    found = sorted(p for p in (root / folder).rglob("*") if p.is_file())
    paths = [p.relative_to(root).as_posix() for p in found if not p.is_symlink()]
    if (ours := tracked(root)) is not None:
        if strange := [p for p in paths if p not in ours and "__pycache__" not in p]:
            print(f"Left out, as git does not track it: {', '.join(strange)}")
        return [p for p in paths if p in ours]
    kept = [p for p in paths if Path(p).suffix in KINDS]
    return [p for p in kept if not any(part[0] in "._" for part in folders(p))]


def folders(path: str) -> tuple[str, ...]:
    """The folders that a path goes through."""
    return Path(path).parts[:-1]


def tracked(root: Path) -> set[str] | None:
    """What git tracks in this checkout; None where it is no checkout of its own."""
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "ls-files", "-z"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise ValueError(f"git can't say what it tracks: {error}") from None
    return set(os.fsdecode(done.stdout).split("\0"))


# ------------------------------------------------------------------ what is cut


def for_students(text: str) -> str:
    """`text` without what stands from "# For instructors" to "# For everyone"."""
    head, _, rest = text.partition("# For instructors\n")
    _, mark, tail = rest.partition("# For everyone\n")
    return head.rstrip() + "\n" + (f"\n{mark}{tail}" if mark else "")


def packages_alone(text: str) -> str:
    """pyproject.toml without what authors measure and check with."""
    text = text.partition("[tool.ruff]")[0].rstrip() + "\n"
    return re.sub(r"^(dev|bench) = \[\n.*?^\]\n", "", text, flags=re.M | re.S)


def described(readme: str, whole: str, term: syllabus.Syllabus) -> str:
    """The handout's README: the rows of the course's map that are in `term`."""
    lines = ["| | Lecture | Homework | Due | In `lib` |", "|---|---|---|---|---|"]
    for row in term.rows:
        found = re.search(
            rf"^\| (\d\d) \| (\[.*?/{row.lecture}\.ipynb\)) \|.*$", whole, re.M
        )
        if not found:
            raise ValueError(f"the map in README.md has no {row.lecture}")
        rooms = found[0].rstrip("| ").rpartition("| ")[2]
        due = f"{row.due.astimezone(term.zone):%a %d %b, %H:%M}" if row.due else ""
        lines.append(
            f"| {found[1]} | {found[2]} | {row.homework or ''} | {due} | {rooms} |"
        )
    first = next((row.homework for row in term.rows if row.homework), "hw_x")
    zone = f"Times are of {term.zone.key}." if term.due_dates() else ""
    readme = readme.replace("{map}", "\n".join(lines)).replace("{hw}", first)
    return readme.replace(" {due}", f" {zone}".rstrip())


def without(term: syllabus.Syllabus, names: list[str]) -> syllabus.Syllabus:
    """`term` less lectures and homework by name. ValueError for one it has not."""
    known = {n for row in term.rows for n in (row.lecture, row.homework) if n}
    if unknown := sorted(set(names) - known):
        raise ValueError(f"{unknown[0]} is not given out; there are: {sorted(known)}")
    return term.less(set(names))


def pack(files: Files, path: Path) -> None:
    """Write a zip, whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(f"{TOP}/{name}", EPOCH)
            entry.external_attr = PLAIN
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    draft.replace(path)


def main() -> None:
    """Release what changed, and pack it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--week", type=int, help="leave out later weeks")
    parser.add_argument("--without", nargs="*", default=[], help="leave these out")
    parser.add_argument("--out", type=Path, help="the zip to write")
    arguments = parser.parse_args()
    try:
        term = syllabus.read(ROOT).until(arguments.week)
        term = without(term, arguments.without)
        release.release()
        files = handout(ROOT, term)
        week = f"-week-{arguments.week}" if arguments.week else ""
        path = arguments.out or ROOT / f"{TOP}{week}.zip"
        pack(files, path)
    except (ValueError, OSError) as error:
        sys.exit(f"No handout: {error}")
    lectures, homework = len(term.rows), len([r for r in term.rows if r.homework])
    size = path.stat().st_size / 1e6
    print(f"{path}: {lectures} lectures, {homework} homeworks, {size:.1f} MB")


if __name__ == "__main__":
    main()
