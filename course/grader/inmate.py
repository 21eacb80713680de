"""What runs inside the box: a warm process that forks one cell for each submission.

    zygote (bubblewrap, no student code) ─ fork ─ warden ─ fork ─ inmate (student code)

torch and `lib` are imported once, by the zygote, so that a submission costs a fork.
The warden enters namespaces of its own (processes, mounts, network, IPC) and forks the
inmate, which is process 1 of its world: when it dies, all that it started dies. There
is no /proc, so that no process can name the zygote or another inmate. The warden holds
the end of a leash: when the other end closes, for whatever reason, it kills.

Read in order: `main`, `warden`, `confine`, `Inmate`.  Started by box.py; Linux only.
"""

import ast
import base64
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import resource
import select
import signal
import socket
import sys
import traceback
from typing import Any, ClassVar

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
PR_SET_DUMPABLE, PR_CAPBSET_DROP, LAST_CAPABILITY = 4, 24, 63
CAPABILITY_V3 = 0x20080522
MAX_TEXT = 100_000  # characters of printed text that are kept of one cell
MAX_PICTURES = 8  # of one cell
MAX_PICTURE = 1_000_000  # bytes
KEPT_KINDS = ("text/plain", "text/latex", "image/png")
READY = b"ready"
libc = ctypes.CDLL(None, use_errno=True)


def main(control: socket.socket, modules: list[str], limits: dict[str, Any]) -> None:
    """Import `modules`, say so, and fork a warden for each pair of sockets received."""
    os.environ["TRITON_INTERPRET"] = "1"  # there is no GPU here, and Triton asks once
    for module in modules:
        with contextlib.suppress(ImportError):  # what the homework withholds
            __import__(module)
    shell = make_shell()
    importlib.import_module("course.grader.seccomp").program()  # or say so now
    # No process may read this one's memory, should one ever learn to name it.
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # wardens are reaped by the kernel
    gc.collect()
    gc.freeze()  # a fork that looked for garbage among the modules would copy them all
    control.sendall(READY)
    while True:
        message, sockets, _, _ = socket.recv_fds(control, 1, 2)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            leash, channel = (socket.socket(fileno=fd) for fd in sockets)
            warden(leash, channel, shell, limits)
        for fd in sockets:
            os.close(fd)


def warden(
    leash: socket.socket, channel: socket.socket, shell: Any, limits: dict[str, Any]
) -> None:
    """Fork the inmate into a world of its own; kill it when the leash goes slack."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if limits["boxed"]:
            enter_world(limits)
        inmate = os.fork()
        if inmate == 0:
            leash.close()
            if limits["boxed"]:
                confine(limits)
            Inmate(channel, shell).serve()
            os._exit(0)
        channel.close()
        poll = select.poll()
        poll.register(leash, select.POLLIN)
        poll.register(os.pidfd_open(inmate), select.POLLIN)
        poll.poll()
        with contextlib.suppress(ProcessLookupError):
            os.kill(inmate, signal.SIGKILL)
        _, how = os.waitpid(inmate, 0)
        status = 0
        with contextlib.suppress(OSError):
            leash.send(json.dumps(os.waitstatus_to_exitcode(how)).encode())
    except BaseException:
        with contextlib.suppress(OSError):
            leash.send(json.dumps(traceback.format_exc()[-500:]).encode())
    finally:
        os._exit(status)


def enter_world(limits: dict[str, Any]) -> None:
    """Namespaces of its own for what is forked next, and a folder that ends with it."""
    new = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    must(libc.unshare(new))
    size = f"size={limits['files']},nr_inodes=10000,mode=1777".encode()
    must(libc.mount(b"tmpfs", limits["scratch"].encode(), b"tmpfs", 0, size))


def must(result: int) -> None:
    """Raise the OSError that a C call left behind."""
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def confine(limits: dict[str, Any]) -> None:
    """Give up every capability and set every limit, before the first line of theirs."""
    from course.grader import seccomp

    os.setsid()
    os.chdir(limits["scratch"])
    for number, value in {
        resource.RLIMIT_DATA: limits["memory"],
        resource.RLIMIT_AS: limits["memory"] + limits["mapped"],
        resource.RLIMIT_CPU: limits["seconds"] + 5,
        resource.RLIMIT_FSIZE: limits["files"],
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_NPROC: limits["processes"],  # of this user, threads too
        resource.RLIMIT_CORE: 0,
    }.items():
        resource.setrlimit(number, (value, value))
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if limits["user"]:  # grading as root: theirs is a user that owns nothing anywhere
        os.setgroups([])
        os.setresgid(*[limits["user"]] * 3)
        os.setresuid(*[limits["user"]] * 3)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_V3, 0)
    must(libc.capset(header, (ctypes.c_uint32 * 6)()))
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
    seccomp.install(seccomp.program())


class Inmate:
    """The student's notebook, alive: runs its cells, answers calls of its functions."""

    def __init__(self, connection: socket.socket, shell: Any) -> None:
        from course.grader.wire import Channel

        self.channel, self.shell = Channel(connection), shell

    def serve(self) -> None:
        """Do what comes, until the other side hangs up."""
        from course.grader.wire import Closed

        with contextlib.suppress(Closed):
            while True:
                request = self.channel.receive(self.stand_in)
                if request[0] == "run":
                    self.channel.send(self.run(*request[1:]))
                else:
                    self.answer(*request[1:])

    def run(self, source: str, pictures: bool) -> list[dict[str, Any]]:
        """Run one cell; what it showed, as plain output nodes, drawn or not."""
        from IPython.utils.capture import capture_output

        self.shell.display_formatter.formatters["image/png"].enabled = pictures
        self.shell.displayhook.results.clear()
        with capture_output() as seen:
            result = self.shell.run_cell(source, store_history=True)  # heeds a last ";"
        outputs = streams(seen.stdout, seen.stderr)
        shown = [rich.data for rich in seen.outputs] + self.shell.displayhook.results
        for bundle in shown[:MAX_PICTURES]:
            data = {k: v for k, v in bundle.items() if k in KEPT_KINDS}
            outputs.append({"output_type": "display_data", "data": plain_data(data)})
        if error := result.error_before_exec or result.error_in_exec:
            outputs = [o for o in outputs if not is_traceback(o)]
            outputs.append({"output_type": "error", **told(error)})
        return outputs

    def answer(self, name: str, args: tuple, kwargs: dict) -> None:
        """Call the student's function `name`; send back its value or its exception."""
        from course.grader.wire import Unsendable

        printed = io.StringIO()
        try:
            function = self.shell.user_ns.get(name)
            if not callable(function):
                raise NameError(f"the notebook defines no function {name!r}")
            with (
                contextlib.redirect_stdout(printed),
                contextlib.redirect_stderr(printed),
            ):
                value = function(*args, **kwargs)
            try:
                self.channel.send(("value", value, printed.getvalue()[:MAX_TEXT]))
            except Unsendable as error:
                raise TypeError(f"{name} returned {error}") from None
        except BaseException as error:  # SystemExit too: it ends the call, not the box
            reply = told(error)
            self.channel.send(("error", reply, printed.getvalue()[:MAX_TEXT]))

    def stand_in(self, number: int) -> Any:
        """A function of the test's: calling it asks the other side."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self.channel.send(("callback", number, args, kwargs))
            kind, value = self.channel.receive(self.stand_in)
            if kind == "error":
                raise RuntimeError(value)
            return value

        return call


def make_shell() -> Any:
    """IPython without history, start-up files or a terminal; figures as PNG."""
    from IPython.core.displayhook import DisplayHook
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Results(DisplayHook):
        """Keeps a cell's last value as it would be shown, and prints no `Out[1]:`."""

        results: ClassVar[list[dict[str, Any]]] = []
        write_output_prompt = finish_displayhook = lambda self: None

        def write_format_data(self, format_dict: dict, md_dict: Any = None) -> None:
            self.results.append(format_dict)

    class Shell(InteractiveShell):
        """`%matplotlib inline` asks for a window system: there is none to enable."""

        displayhook_class = Results

        def enable_gui(self, gui: str | None = None) -> None:
            pass

    config = Config()
    config.HistoryManager.enabled = False
    shell = Shell.instance(config=config)
    with contextlib.suppress(Exception):  # no matplotlib, no figures
        shell.enable_matplotlib("inline")
    return shell


def streams(stdout: str, stderr: str) -> list[dict[str, Any]]:
    """Stream outputs for what was printed, cut where it is too long."""
    return [
        {"output_type": "stream", "name": name, "text": cut(text)}
        for name, text in (("stdout", stdout), ("stderr", stderr))
        if text
    ]


def cut(text: str) -> str:
    """The first `MAX_TEXT` characters, and how many there were."""
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]}\n… (cut: {len(text):,} characters in all)"


def is_traceback(output: dict[str, Any]) -> bool:
    """Whether IPython printed this as a traceback; it is told once, in `error`."""
    return "Traceback (most recent call last)" in str(output.get("text", ""))


def plain_data(data: dict[str, Any]) -> dict[str, str]:
    """Text as text, pictures in base64, each within its limit."""
    kept = {}
    for kind, content in data.items():
        if isinstance(content, bytes):
            content = base64.b64encode(content).decode()
        if isinstance(content, str):
            kept[kind] = content[:MAX_PICTURE] if "/png" in kind else cut(content)
    return kept


def told(error: BaseException) -> dict[str, Any]:
    """An exception as an error output: its kind, message, and the student's lines."""
    try:
        message = cut(str(error))
    except BaseException:
        message = "(an exception that cannot be printed)"
    lines = [
        f"  cell line {frame.lineno}, in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "ipython-input" in frame.filename or frame.filename.startswith("<")
    ][-10:]
    kind = type(error).__name__
    return {
        "ename": kind,
        "evalue": message,
        "traceback": [*lines, f"{kind}: {message}"],
    }


if __name__ == "__main__":
    settings = ast.literal_eval(sys.argv[1])
    sys.path.insert(0, settings["root"])
    main(
        socket.socket(fileno=settings["control"]),
        settings["modules"],
        settings["limits"],
    )
