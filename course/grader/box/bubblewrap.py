"""The bubblewrap command line: what is visible inside, and what may be done there.

Inside there is the environment and `lib`, read-only, less what the homework withholds;
no network, no /proc, no home, no other submission, no test, no solution, no gradebook,
no environment variable.

Read in order: `command`, `privileges`, `mounts`, `variables`.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from course.grader.terms import ROOT, Limits, NoBox

WARM = ("torch", "numpy", "lib", "IPython.core.interactiveshell", "matplotlib.pyplot")
INSIDE = (  # of here
    *("__init__", "zygote", "seccomp", "sandboxed"),
    *("channel", "wire", "reading", "sharing", "regions", "likeness"),
)
SCRATCH = "/scratch"  # a submission's own; /tmp may hold the environment itself
CPUINFO = Path("/proc/cpuinfo")  # all that libraries ask of /proc
FIRST_USER, USERS = 1_879_000_000, 1_000_000  # far from anybody's
WITHHELD = Path(__file__).with_name("withheld")  # says so, kindly
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")
INSTALL = (
    "Submissions are graded in bubblewrap, and it {why}. On Debian and Ubuntu: "
    "apt-get install bubblewrap (Linux only; see course/README.md)."
)


def command(
    withheld: tuple[str, ...],
    control: int,
    limits: Limits,
    boxed: bool = True,
    warm: tuple[str, ...] = (),
) -> list[str]:
    """The bubblewrap command line that starts the zygote; bare where not `boxed`.

    Raises `NoBox` where bubblewrap is not installed.
    """
    settings = {
        "root": str(ROOT),
        "control": control,
        "modules": [*WARM, *warm],
        "limits": {
            "boxed": boxed,
            "scratch": SCRATCH if boxed else tempfile.gettempdir(),
            "memory": limits.memory,
            "mapped": 16 << 30,  # libraries and shared pages, beyond private memory
            "seconds": int(limits.total_s + limits.extras_s) + 1,
            "files": limits.files,
            "processes": limits.processes,
            "user": FIRST_USER + os.getpid() % USERS if os.geteuid() == 0 else 0,
        },
    }
    script = Path(__file__).with_name("zygote.py")
    zygote = [sys.executable, "-B", "-s", str(script), repr(settings)]
    if not boxed:
        return zygote
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise NoBox(INSTALL.format(why="is not installed"))
    options = [
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
        *("--die-with-parent", "--new-session", "--clearenv", *privileges()),
        *("--hostname", "box", "--dev", "/dev", "--chdir", "/", "--tmpfs", SCRATCH),
        # Shared pages of /dev/zero would belong to no process: nothing is mapped there
        *("--dev-bind", os.devnull, "/dev/zero"),
        *mounts(withheld),
        # What one submission could write, the next would find, on sys.path too
        *("--remount-ro", "/dev", "--remount-ro", "/"),
        *variables(),
    ]
    return [bwrap, *options, *zygote]


def privileges() -> tuple[str, ...]:
    """What the zygote needs to fork a supervisor; a sandboxed process has none of it.

    Root gives each worker's sandboxed processes a real user of their own, so that the
    kernel counts them and no file is theirs. Anybody else gets a user namespace.
    """
    if os.geteuid() == 0:
        kept = ("CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_KILL")
        return ("--cap-drop", "ALL", *(x for cap in kept for x in ("--cap-add", cap)))
    return ("--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL")


def mounts(withheld: tuple[str, ...]) -> Iterator[str]:
    """What can be seen inside: the system, the environment, `lib`, and this package."""
    here = Path(__file__).parent
    package = here.with_name("__init__.py")
    seen = [Path(path) for path in SYSTEM if Path(path).exists()]
    seen += [Path(sys.base_prefix), Path(sys.prefix), ROOT / "lib"]
    seen += [package, *(here / f"{name}.py" for name in INSIDE)]
    if CPUINFO.exists():
        seen.append(CPUINFO)
    parents = {str(parent) for path in seen for parent in path.parents}
    if "/tmp" not in parents:  # nothing that is needed lies there
        yield from ("--symlink", SCRATCH, "/tmp")
    for parent in sorted(parents - {"/"}):
        yield from ("--perms", "0755", "--dir", parent)
    for path in seen:
        yield from ("--ro-bind", str(path), str(path))
    for name in withheld:
        home = place(name)
        if home and home.is_dir():
            yield from ("--ro-bind", str(WITHHELD), str(home))
        elif home:
            yield from ("--ro-bind", str(WITHHELD / "__init__.py"), str(home))


def place(module: str) -> Path | None:
    """The folder or file that holds a module, found without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    return origin.parent if spec.submodule_search_locations else origin


def variables() -> Iterator[str]:
    """The few environment variables inside: one thread, no cache, no home."""
    for name, value in {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": SCRATCH,
        "TMPDIR": SCRATCH,
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": SCRATCH,
        "IPYTHONDIR": SCRATCH,
        "HF_HUB_OFFLINE": "1",
        # a layer's memory serves the next one, instead of going back page by page
        "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    }.items():
        yield from ("--setenv", name, value)
