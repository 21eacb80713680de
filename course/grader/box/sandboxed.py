"""The process in which a student's code runs: their notebook, alive.

    run: a cell → what it showed        call: a function → its value, or its exception

Each comes as a frame from sandbox.py, and the answer goes back the same way. Whatever
is said here is a claim: the student's code shares this process, and may change all of
it. outputs.py and wire.py check what arrives on the other side.

Read in order: `SandboxedProcess`, `make_shell`, `told`.  Forked by zygote.py.
"""

import base64
import contextlib
import io
import socket
import subprocess
import traceback
from typing import Any, ClassVar

from course.grader.box.channel import Channel, Closed
from course.grader.box.regions import Unsendable
from course.grader.box.sharing import Received

MAX_TEXT = 100_000  # characters of printed text that are kept of one cell
MAX_PICTURES = 8  # of one cell
MAX_PICTURE = 1_000_000  # bytes
KEPT_KINDS = ("text/plain", "text/latex", "image/png")


class SandboxedProcess:
    """The student's notebook, alive: runs its cells, answers calls of its functions."""

    def __init__(self, connection: socket.socket, shell: Any) -> None:
        self.channel, self.shell = Channel(connection), shell

    def serve(self) -> None:
        """Do what comes, until the other side hangs up."""
        with contextlib.suppress(Closed):
            while True:
                shared = Received()
                request = self.channel.receive(self.stand_in, shared)
                if request[0] == "run":
                    self.channel.send(self.run(*request[1:]))
                else:
                    self.answer(shared, *request[1:])

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

    def answer(self, shared: Received, name: str, args: tuple, kwargs: dict) -> None:
        """Call the student's function `name`; send back its value or its exception.

        And what has become of its arguments, which are `shared`.
        """
        printed = io.StringIO()

        def send(kind: str, what: Any) -> None:
            said = printed.getvalue()[:MAX_TEXT]
            self.channel.send((kind, what, said, shared.changes()), shared=shared)

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
                send("value", value)
            except Unsendable as error:
                raise TypeError(f"{name} returned {error}") from None
        except BaseException as error:  # SystemExit too: it ends the call, not the box
            try:
                send("error", told(error))
            except Unsendable as why:
                unsent = TypeError(f"{name} left in its arguments {why}")
                self.channel.send(("error", told(unsent), "", ([], [])))

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
        """Without a window system to enable, and `!command` without a terminal."""

        displayhook_class = Results

        def enable_gui(self, gui: str | None = None) -> None:
            pass

        def system(self, cmd: str) -> None:
            command = self.var_expand(cmd, depth=1)
            ended = subprocess.run(
                ["sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            print(ended.stdout.decode(errors="replace"), end="")
            self.user_ns["_exit_code"] = ended.returncode

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
