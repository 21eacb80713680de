"""The bubblewrap command line: what is visible inside, and what may be done there.

Inside there is the environment and `lib`, read-only, less what the homework withholds
(visible.py); no network, no /proc, no home, no other submission, no test, no solution,
no gradebook, no environment variable.

Read in order: `command`, `privileges`, `variables`.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from course.grader.box.visible import Python, mounts, origin
from course.grader.terms import ROOT, Limits, NoBox

WARM = ("torch", "numpy", "lib", "IPython.core.interactiveshell", "matplotlib.pyplot")
SCRATCH = "/scratch"  # a submission's own; /tmp may hold the environment itself
SHARED = "/dev/shm"  # its own too: what its processes share lies there
FIRST_USER, USERS = 1_879_000_000, 1_000_000  # far from anybody's
# a layer's memory serves the next one, instead of going back page by page
KEPT = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}
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
    hidden: tuple[str, ...] = (),
) -> list[str]:
    """The bubblewrap command line that starts the zygote; bare where not `boxed`.

    Raises `NoBox` where bubblewrap is not installed, or Python needs what is `hidden`.
    """
    settings = {
        "root": str(ROOT),
        "control": control,
        "modules": [name for name in (*WARM, *warm) if origin(name)],
        "withheld": withheld,
        "limits": {
            "boxed": boxed,
            "scratch": SCRATCH if boxed else tempfile.gettempdir(),
            "shared": SHARED,
            "memory": limits.memory,
            "mapped": 16 << 30,  # libraries and shared pages, beyond private memory
            "seconds": int(limits.total_s + limits.extras_s) + 1,
            "files": limits.files,
            "processes": limits.processes,
            "user": FIRST_USER + os.getpid() % USERS if os.geteuid() == 0 else 0,
        },
    }
    script = Path(__file__).with_name("zygote.py")
    if not boxed:
        return [sys.executable, "-B", "-s", str(script), repr(settings)]
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise NoBox(INSTALL.format(why="is not installed"))
    python = Python.asked()
    alone = () if python.base else ("-s",)
    zygote = [sys.executable, "-B", *alone, str(script), repr(settings)]
    options = [
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
        *("--die-with-parent", "--new-session", "--clearenv", *privileges()),
        *("--hostname", "box", "--dev", "/dev", "--chdir", "/", "--tmpfs", SCRATCH),
        # Shared pages of /dev/zero would belong to no process: nothing is mapped there
        *("--dev-bind", os.devnull, "/dev/zero"),
        *mounts(python, withheld, hidden, SCRATCH),
        # What one submission could write, the next would find, on sys.path too
        *("--remount-ro", "/dev", "--remount-ro", "/"),
        *variables(python),
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


def variables(python: Python) -> Iterator[str]:
    """The few environment variables inside: one thread, no cache, no home."""
    for name, value in {
        **dict(python.variables()),
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
        "TORCHINDUCTOR_COMPILE_THREADS": "1",  # each would be a process with torch
        **KEPT,
    }.items():
        yield from ("--setenv", name, value)
