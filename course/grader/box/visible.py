"""What can be seen in the box: what Python needs, less what must not be seen.

    /usr                    shown
    /usr/src/course         hidden: the checkout, solutions and tests
    /usr/src/course/lib     shown
    …/lib/quant             what the homework withholds: a word in its place

Each path is laid over those above it, from the root down, wherever it lies. Python says
itself what it needs: its prefixes, and the folders outside of them that it imports from
(PYTHONPATH, a `.pth` file, another environment's packages, a project in development).

Read in order: `mounts`, `layers`, `shown`, `Python`, `borrowed`, `instead`.
"""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from course.grader.terms import ROOT, NoBox

HERE = Path(__file__).parent
INSIDE = (  # of here
    *("__init__", "zygote", "seccomp", "sandboxed"),
    *("channel", "wire", "reading", "sharing", "regions", "likeness"),
)
CPUINFO = Path("/proc/cpuinfo")  # all that libraries ask of /proc
WITHHELD = HERE / "withheld"  # says so, kindly
SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"),
    *("/etc/ld.so.cache", "/etc/alternatives"),  # where links of /usr/lib lead
)
EXCHANGE = "/usr/local/share/nbgrader"  # nbgrader's own choice, with others' work in it
UNSEEN = [Path("/"), Path(os.path.expanduser("~")), Path(EXCHANGE), ROOT]
CHECKOUT = ("solutions", "course/nbgrader_config.py")  # of a course, this or another
ASK = """
import json, os, site, sys
mapped = [getattr(sys.modules.get(f.__module__), "MAPPING", {}) for f in sys.meta_path]
print(json.dumps({
    "path": [os.path.abspath(folder) for folder in sys.path if folder],
    "mapped": {name: path for table in mapped for name, path in table.items()},
    "base": site.getuserbase() if site.ENABLE_USER_SITE else None,
}))
"""


@dataclass(frozen=True)
class Python:
    """Where this Python imports from, as it says itself."""

    path: tuple[Path, ...]  # its sys.path
    mapped: dict[str, Path]  # a project in development: a name, and where it is
    base: str | None  # of the user's own packages, where it takes any

    @classmethod
    def asked(cls) -> "Python":
        """Ask it, in a process of its own: this one's sys.path is its program's."""
        said = subprocess.run(
            [sys.executable, "-c", ASK], capture_output=True, text=True, cwd=ROOT
        )
        if said.returncode:
            raise NoBox(f"{sys.executable} cannot start: {said.stderr.strip()[-300:]}")
        told = json.loads(said.stdout.splitlines()[-1])
        mapped = {name: Path(path) for name, path in told["mapped"].items()}
        return cls(tuple(map(Path, told["path"])), mapped, told["base"])

    def variables(self) -> Iterator[tuple[str, str]]:
        """What makes a Python in the box look in the same places."""
        given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        folders = [os.path.join(ROOT, folder) for folder in given if folder]
        if kept := [x for x in folders if Path(os.path.abspath(x)) in borrowed(self)]:
            yield "PYTHONPATH", os.pathsep.join(kept)
        if self.base:
            yield "PYTHONUSERBASE", self.base


def mounts(
    python: Python, withheld: tuple[str, ...], hidden: tuple[str, ...], tmp: str
) -> Iterator[str]:
    """Bubblewrap's options for all that can be seen; `tmp` is where /tmp leads.

    Raises `NoBox` where Python needs what must not be seen.
    """
    there = layers(shown(python), [*UNSEEN, *caches(), *map(Path, hidden)])
    parents = {
        parent for path, seen in there.items() if seen for parent in path.parents
    }
    if Path("/tmp") not in {*parents, *there}:  # nothing that is needed lies there
        yield from ("--symlink", tmp, "/tmp")
    covers = []
    for path in sorted({*parents, *there} - {Path("/")}, key=depth):
        if path not in there:
            yield from ("--perms", "0755", "--dir", str(path))
        elif there[path]:
            yield from ("--ro-bind", str(path), str(path))
        elif path.is_dir():
            covers.append(path)
            yield from ("--perms", "0755", "--tmpfs", str(path))
        else:
            yield from ("--ro-bind", os.devnull, str(path))
    for name in withheld:
        for path, stub in instead(name, python):
            yield from ("--ro-bind", str(stub), str(path))
    for path in covers:
        yield from ("--remount-ro", str(path))


def layers(shown: list[Path], hidden: list[Path]) -> dict[Path, bool]:
    """Whether a path is seen, for each that differs from the one above it.

    Raises `NoBox` for one that is to be shown and hidden.
    """
    seen, unseen = ({q for p in x for q in (p, p.resolve())} for x in (shown, hidden))
    for path in seen & unseen:
        raise NoBox(
            f"Python needs all of {path}, and the course or your own files lie there, "
            "which no submission may read. Make a Python environment in a folder of "
            "its own (as .venv), and take the path out of PYTHONPATH and .pth files"
        )
    kept: dict[Path, bool] = {}
    for path in sorted(seen | unseen, key=depth):
        above = next((kept[p] for p in path.parents if p in kept), False)
        if os.path.exists(path) and above != (path in seen):
            kept[path] = path in seen
    return kept


def depth(path: Path) -> tuple[int, Path]:
    """An order in which a folder comes before what is in it."""
    return len(path.parts), path


def shown(python: Python) -> list[Path]:
    """The system, the environment, `lib`, and the files of this package that run.

    Raises `NoBox` for one that a submission could not read.
    """
    program = Path(sys.executable)
    programs = [program]  # a link to a link to a link, and each has to be there
    while program.is_symlink():
        program = program.parent / program.readlink()
        programs.append(Path(os.path.normpath(program)))
    ours = [HERE.with_name("__init__.py"), *(HERE / f"{name}.py" for name in INSIDE)]
    prefixes = [Path(sys.base_prefix), Path(sys.prefix)]
    found = [*map(Path, SYSTEM), *prefixes, *programs, *borrowed(python)]
    found = [p for p in [*found, ROOT / "lib", *ours, CPUINFO] if os.path.exists(p)]
    for path in found if os.geteuid() == 0 else ():
        if not path.stat().st_mode & 0o004:
            raise NoBox(
                f"Only its owner may read {path}, and a submission that root grades is "
                f"a user of its own: chmod -R o+rX {path}"
            )
    return found


def borrowed(python: Python) -> list[Path]:
    """The folders that Python imports from, but for those of a course.

    Raises `NoBox` for one in the checkout that is no environment's.
    """
    mapped = [
        path for name, path in python.mapped.items() if not (ROOT / name).exists()
    ]
    found = []
    for path in (*python.path, *mapped):
        if not os.path.exists(path):
            continue
        if any(os.path.exists(path / mark) for mark in CHECKOUT):
            continue  # of this one `lib` is shown anyway
        if path.is_relative_to(ROOT) and "site-packages" not in path.parts:
            raise NoBox(
                f"Python imports from {path}, which is in the checkout, where no "
                "submission may look. Take it out of PYTHONPATH and the .pth files of "
                f"{sys.prefix}, and install there what you need of it"
            )
        found.append(path)
    return found


def caches() -> list[Path]:
    """Where compiled code is put, if not beside its source; made, to be hidden."""
    if not sys.pycache_prefix:
        return []
    with contextlib.suppress(OSError):  # nobody can write there, then
        os.makedirs(sys.pycache_prefix, exist_ok=True)
    return [Path(sys.pycache_prefix)]


def instead(name: str, python: Python) -> Iterator[tuple[Path, Path]]:
    """(path, stub) for all that holds a withheld module, wherever it is installed.

    Of a module that is a file, its compiled code too, which may be written any time.
    """
    first, *rest = name.split(".")
    roots = [folder / first for folder in {ROOT, *python.path}]
    if first in python.mapped and not (ROOT / first).exists():
        roots.append(python.mapped[first])
    for root in roots:
        place = root.joinpath(*rest)
        if place.is_dir():
            yield place, WITHHELD
        elif place.parent.is_dir():
            files = [p for p in place.parent.iterdir() if is_of(place.stem, p)]
            yield from ((path, WITHHELD / "__init__.py") for path in files)
            if files:
                with contextlib.suppress(OSError):  # nobody can write there, then
                    (place.parent / "__pycache__").mkdir(exist_ok=True)
                for copies in ("__pycache__", ".ipynb_checkpoints"):
                    if (place.parent / copies).is_dir():
                        yield place.parent / copies, WITHHELD


def is_of(stem: str, path: Path) -> bool:
    """Whether a file belongs to a module: its source, a stub, an editor's copy."""
    return path.name.lstrip(".#~").startswith(f"{stem}.") and path.is_file()


def origin(module: str) -> str | None:
    """Where a module, or the package that it is of, is outside; None if nowhere."""
    spec = importlib.util.find_spec(module.partition(".")[0])
    if spec is None:
        return None
    places = [*(spec.submodule_search_locations or ()), spec.origin]
    return os.path.realpath(places[0] or "")
