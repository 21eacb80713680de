"""The handle of one submission's sandboxed process: what may be asked of it, how long.

    ask ── channel ──→ sandboxed process ── callbacks, then an answer ──→ or `Stopped`

A limit ends the process and all that it started: the leash is dropped (see zygote.py).

Read in order: `Sandbox.run`, `Sandbox.call`, `Sandbox.stop`.
"""

import contextlib
import json
import socket
import time
from collections.abc import Callable
from typing import Any

from course.grader.box.channel import Channel, Closed
from course.grader.box.journal import Journal
from course.grader.box.memory import Watch
from course.grader.box.regions import Forged, Unsendable
from course.grader.box.sharing import Sent
from course.grader.terms import Limits


class Stopped(Exception):  # noqa: N818
    """A submission hit a limit; the message names it."""


class Sandbox:
    """One submission's process: run its cells, call its functions, within the limits.

    `used` says how much memory there is of it. Made by `Box.sandbox`.
    """

    def __init__(
        self,
        channel: Channel,
        leash: socket.socket,
        limits: Limits,
        used: Callable[[], int],
    ) -> None:
        self.channel, self.leash, self.limits = channel, leash, limits
        self.end = time.monotonic() + limits.total_s
        self.watch = Watch(used, limits.memory, leash)
        self.stopped: str | None = None  # the limit that was hit
        self.journal = Journal()  # of what its functions changed; the box has its own

    def run(self, source: str, *, pictures: bool = True) -> list[dict[str, Any]]:
        """Run a cell; the outputs that it claims (check them). `pictures` take time.

        Raises `Stopped` at a limit.
        """
        return self._ask(("run", source, pictures), None)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[str, Any, str]:
        """Call a function: ("value", result, printed) or ("error", told, printed).

        That is what it claims: check it. Arguments that it claims to have changed are
        changed, until `journal` undoes it (journal.py). Raises `Stopped` at a limit,
        and `Unsendable` for an argument that is no plain value.
        """
        callables: list[Callable[..., Any]] = []
        shared = Sent()
        answer = self._ask(("call", name, args, kwargs), callables, shared)
        match answer:
            case (kind, what, printed, changes):
                try:
                    shared.write_back(changes, self.journal.note)
                except Forged as error:
                    self.stop(f"it changed what no function changes ({error})")
                    raise Stopped(self.stopped) from None
                return kind, what, printed
        return answer

    def _ask(
        self, request: tuple, callables: list | None, shared: Sent | None = None
    ) -> Any:
        """Send, serve the callbacks, return the answer; `Stopped` at a limit."""
        if self.stopped:
            raise Stopped(self.stopped)
        deadline = min(time.monotonic() + self.limits.call_s, self.end)
        try:
            self.channel.send(request, callables, shared, deadline=deadline)
            while True:
                answer = self.channel.receive(None, shared, deadline=deadline)
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
        """Kill the process and everything it started."""
        self.stopped = self.stopped or reason
        self.close()

    def close(self) -> None:
        """Drop the leash: the supervisor kills the process. Once is enough."""
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

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
