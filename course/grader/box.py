"""The box that student code runs in: bubblewrap around a warm process, a fork for each.

    Box (one a worker) ── bwrap ── zygote ── warden ── inmate      see inmate.py
    Cell (one a submission) = a channel to its inmate, and the leash that kills it

Inside there is the environment and `lib`, read-only, less what the homework withholds;
no network, no /proc, no home, no other submission, no test, no solution, no gradebook,
no environment variable. `Watch` counts memory and processes from outside, where the
inmate's own limits cannot.

Read in order: `command`, `Box`, `Cell`, `Watch`.
"""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from course.grader.inmate import READY
from course.grader.terms import ROOT, Limits, NoBox
from course.grader.wire import Channel, Closed, Forged, Unsendable

WARM = ("torch", "numpy", "lib", "IPython.core.interactiveshell", "matplotlib.pyplot")
SCRATCH = "/scratch"  # an inmate's own folder; /tmp may hold the environment itself
CPUINFO = Path("/proc/cpuinfo")  # all that libraries ask of /proc
START_S = 120.0  # for importing torch on a busy machine
FIRST_USER, USERS = 1_879_000_000, 1_000_000  # far from anybody's
WITHHELD = Path(__file__).with_name("withheld")  # says so, kindly
WATCH_S = 0.03  # between two looks at what a submission uses
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")
INSTALL = (
    "Submissions are graded in bubblewrap, and it {why}. On Debian and Ubuntu: "
    "apt-get install bubblewrap (Linux only; see course/README.md)."
)


class Stopped(Exception):  # noqa: N818
    """A submission hit a limit; the message names it."""


def command(
    withheld: tuple[str, ...],
    control: int,
    limits: Limits,
    boxed: bool = True,
    warm: tuple[str, ...] = (),
) -> list[str]:
    """The bubblewrap command line that starts the zygote; bare where not `boxed`."""
    settings = {
        "root": str(ROOT),
        "control": control,
        "modules": [*WARM, "course.grader.wire", *warm],
        "limits": {
            "boxed": boxed,
            "scratch": SCRATCH if boxed else tempfile.gettempdir(),
            "memory": limits.memory,
            "mapped": 16 << 30,  # libraries and shared pages, beyond private memory
            "seconds": int(limits.total_s) + 1,
            "files": limits.files,
            "processes": limits.processes,
            "user": FIRST_USER + os.getpid() % USERS if os.geteuid() == 0 else 0,
        },
    }
    inmate = Path(__file__).with_name("inmate.py")
    zygote = [sys.executable, "-B", "-s", str(inmate), repr(settings)]
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
        # What one inmate could write, the next would find, on sys.path too
        *("--remount-ro", "/dev", "--remount-ro", "/"),
        *variables(),
    ]
    return [bwrap, *options, *zygote]


def privileges() -> tuple[str, ...]:
    """What the zygote needs to fork a warden; an inmate has none of it.

    Root gives each worker's inmates a real user of their own, so that the kernel counts
    their processes and no file is theirs. Anybody else gets a user namespace.
    """
    if os.geteuid() == 0:
        kept = ("CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_KILL")
        return ("--cap-drop", "ALL", *(x for cap in kept for x in ("--cap-add", cap)))
    return ("--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL")


def mounts(withheld: tuple[str, ...]) -> Iterator[str]:
    """What can be seen inside: the system, the environment, `lib`, and this package."""
    here = Path(__file__).parent
    seen = [Path(path) for path in SYSTEM if Path(path).exists()]
    seen += [Path(sys.base_prefix), Path(sys.prefix), ROOT / "lib"]
    seen += [here / "__init__.py", here / "wire.py", here / "inmate.py"]
    seen += [here / "seccomp.py"]
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
        path = place(name)
        if path and path.is_dir():
            yield from ("--ro-bind", str(WITHHELD), str(path))
        elif path:
            yield from ("--ro-bind", str(WITHHELD / "__init__.py"), str(path))


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


class Box:
    """A warm zygote; `cell()` gives a submission its inmate. Close it when done.

    `warm` names modules that it imports once for all, beside torch and IPython.
    Not `boxed`, it is a plain process of the grader's own: for students one trusts.
    """

    def __init__(
        self,
        withheld: tuple[str, ...] = (),
        limits: Limits | None = None,
        *,
        boxed: bool = True,
        warm: tuple[str, ...] = (),
    ) -> None:
        self.limits = limits or Limits()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.ExitStack() as until_ready, theirs:
            until_ready.callback(ours.close)
            self.process = subprocess.Popen(
                command(tuple(withheld), theirs.fileno(), self.limits, boxed, warm),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            theirs.close()
            self.control = ours
            self._await_ready()
            self.given, _ = pages(self.family()[-1])  # the zygote's, which forks share
            until_ready.pop_all()

    def _await_ready(self) -> None:
        """Wait for the zygote; `NoBox` with what bubblewrap said if it never comes."""
        self.control.settimeout(START_S)
        try:
            ready = self.control.recv(len(READY))
        except TimeoutError:
            ready = b""
        if ready != READY:
            self.process.kill()
            _, why = self.process.communicate()
            told = why.decode(errors="replace").strip().splitlines()[-1:] or ["?"]
            raise NoBox(INSTALL.format(why=f"cannot start ({told[0]})"))

    def family(self) -> list[int]:
        """The zygote, what runs it, and all its descendants; ancestors first."""
        process = psutil.Process(self.process.pid)
        return [process.pid, *(p.pid for p in process.children(recursive=True))]

    def cell(self) -> "Cell":
        """Fork an inmate for one submission."""
        channel, its_channel = socket.socketpair()
        leash, its_leash = socket.socketpair()
        with its_channel, its_leash:
            fds = [its_leash.fileno(), its_channel.fileno()]
            socket.send_fds(self.control, [b"c"], fds)
        return Cell(Channel(channel), leash, self)

    def close(self) -> None:
        """End the zygote, and with it everything inside."""
        self.control.close()
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def __enter__(self) -> "Box":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Cell:
    """One submission's inmate: run its cells, call its functions, within the limits."""

    def __init__(self, channel: Channel, leash: socket.socket, box: Box) -> None:
        self.channel, self.leash, self.limits = channel, leash, box.limits
        self.end = time.monotonic() + box.limits.total_s
        self.watch = Watch(box, self)
        self.stopped: str | None = None  # the limit that was hit

    def run(self, source: str, *, pictures: bool = True) -> list[dict[str, Any]]:
        """Run a cell; the outputs that it claims (check them). `pictures` take time."""
        return self._ask(("run", source, pictures), None)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[str, Any, str]:
        """Call a function: ("value", result, printed) or ("error", told, printed)."""
        callables: list[Callable[..., Any]] = []
        return self._ask(("call", name, args, kwargs), callables)

    def _ask(self, request: tuple, callables: list | None) -> Any:
        """Send, serve the callbacks, return the answer; `Stopped` at a limit."""
        if self.stopped:
            raise Stopped(self.stopped)
        deadline = min(time.monotonic() + self.limits.call_s, self.end)
        try:
            self.channel.send(request, callables, deadline=deadline)
            while True:
                answer = self.channel.receive(deadline=deadline)
                match answer:  # a type first: an array's == is no truth
                    case (str("callback"), int(number), tuple(args), dict(kwargs)):
                        reply = self._call_back(number, args, kwargs, callables or [])
                        self._reply(reply, callables, deadline)
                    case _:
                        return answer
        except TimeoutError:
            whole = deadline == self.end
            limit = self.limits.total_s if whole else self.limits.call_s
            what = "the whole submission" if whole else "one call"
            self.stop(f"{what} took more than {limit:g} s")
        except Forged as error:
            self.stop(f"it sent what no function returns ({error})")
        except Closed:
            self.stop(self.watch.reason or "its process ended itself")
        raise Stopped(self.stopped)

    def _call_back(
        self, number: int, args: tuple, kwargs: dict, callables: list
    ) -> tuple[str, Any]:
        """Call the test's own function for the student's code."""
        if not 0 <= number < len(callables):
            raise Forged(f"callback {number}")
        try:
            return "value", callables[number](*args, **kwargs)
        except Exception as error:
            return "error", f"{type(error).__name__}: {error}"

    def _reply(self, reply: tuple, callables: list | None, deadline: float) -> None:
        """Send what a callback came to, or that it cannot cross."""
        try:
            self.channel.send(reply, callables, deadline=deadline)
        except Unsendable as error:
            self.channel.send(("error", f"TypeError: {error}"), deadline=deadline)

    def stop(self, reason: str) -> None:
        """Kill the inmate and everything it started."""
        self.stopped = self.stopped or reason
        self.close()

    def close(self) -> None:
        """Drop the leash: the warden kills the inmate. Once is enough."""
        if self.watch.over.is_set():
            return
        self.watch.over.set()
        with contextlib.suppress(OSError):
            self.leash.shutdown(socket.SHUT_WR)
        self.channel.close()
        self.leash.settimeout(5)
        with contextlib.suppress(OSError, ValueError):  # wait until it is really gone
            json.loads(self.leash.recv(4096) or "null")
        self.leash.close()

    def __enter__(self) -> "Cell":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Watch:
    """Looks at the box's processes from outside, and cuts the leash at a limit.

    A limit inside is the inmate's own (RLIMIT_DATA counts what was asked for, touched
    or not, but a process at a time): this one counts them all together.
    """

    def __init__(self, box: Box, cell: Cell) -> None:
        self.box, self.cell = box, cell
        self.reason: str | None = None
        self.over = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        """Until the submission is over, compare the memory it uses with the limit."""
        limit = self.box.limits.memory
        while not self.over.wait(WATCH_S):
            with contextlib.suppress(psutil.Error):
                if grown(self.box.family(), self.box.given) > limit:
                    self.reason = f"it used more than {limit / 2**30:.3g} GB of memory"
                    with contextlib.suppress(OSError):
                        self.cell.leash.shutdown(socket.SHUT_WR)  # `close` still reads
                    return


def grown(family: list[int], given: int) -> int:
    """Bytes of memory that processes have beyond the `given` that a fork shares."""
    return sum(max(own - given, 0) + shared for own, shared in map(pages, family))


def pages(pid: int) -> tuple[int, int]:
    """Bytes of a process that are anonymous, and that are shared memory."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it is gone
        return 0, 0
    found = dict(re.findall(r"^Rss(Anon|Shmem):\s+(\d+) kB$", status, re.MULTILINE))
    return int(found.get("Anon", 0)) << 10, int(found.get("Shmem", 0)) << 10
