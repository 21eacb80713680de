"""The handle of one submission's sandboxed process: what may be asked of it, how long.

    ask ── channel ──→ sandboxed process ── callbacks, then an answer ──→ or `Stopped`

A limit ends the process and all that it started: the leash is dropped (see zygote.py).
What a second is, says meter.py. A callback is the test's own work, on the test's clock.

Read in order: `Sandbox.run`, `Sandbox.call`, `Sandbox.stop`.
"""

import contextlib
import json
import socket
import time
from collections.abc import Callable
from typing import Any

from course.grader.box.channel import Channel, Closed
from course.grader.box.groups import Group
from course.grader.box.journal import Journal
from course.grader.box.memory import Watch
from course.grader.box.meter import Account, Meter
from course.grader.box.regions import Forged, Unsendable
from course.grader.box.sharing import Sent
from course.grader.terms import PATIENCE, Limits


class Stopped(Exception):  # noqa: N818
    """A submission hit a limit; the message names it, `by_time` one of time."""

    by_time = False


class Sandbox:
    """One submission's process: run its cells, call its functions, within the limits.

    `exceeds` says whether it takes more than so much memory, `root` is its
    supervisor's process, and `whole` pays for its time. Made by `Box.sandbox`.
    """

    def __init__(
        self,
        channel: Channel,
        leash: socket.socket,
        limits: Limits,
        exceeds: Callable[[int], bool],
        root: int,
        whole: Account,
    ) -> None:
        self.channel, self.leash, self.limits = channel, leash, limits
        self.whole = whole
        self.watch = Watch(exceeds, limits.memory, leash)
        self.meter = Meter(root, whole, self._cut, self.watch.over)
        self.stopped: Stopped | None = None  # by the limit that was hit
        self.journal = Journal()  # of what its functions changed; the box has its own
        self.group: Group | None = None  # the kernel's limits, where it lends them

    def run(
        self, source: str, *, pictures: bool = True, pays: Account | None = None
    ) -> list[dict[str, Any]]:
        """Run a cell; the outputs that it claims (check them). `pictures` take time.

        `pays` is charged in place of the whole submission. Raises `Stopped` at a limit.
        """
        cell = Account("one cell", self.limits.call_s)
        return self._ask(("run", source, pictures), [cell, pays or self.whole])

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[str, Any, str]:
        """Call a function: ("value", result, printed) or ("error", told, printed).

        That is what it claims: check it. Arguments that it claims to have changed are
        changed, until `journal` undoes it (journal.py). Raises `Stopped` at a limit,
        and `Unsendable` for an argument that is no plain value.
        """
        callables: list[Callable[..., Any]] = []
        shared, call = Sent(), Account("one call", self.limits.call_s)
        request = "call", name, args, kwargs
        answer = self._ask(request, [call, self.whole], callables, shared)
        match answer:
            case (kind, what, printed, changes):
                try:
                    shared.write_back(changes, self.journal.note)
                except Forged as error:
                    self.stop(f"it changed what no function changes ({error})")
                    assert self.stopped, "just now"
                    raise self.stopped from None
                return kind, what, printed
        return answer

    def _ask(
        self,
        request: tuple,
        accounts: list[Account],
        callables: list | None = None,
        shared: Sent | None = None,
    ) -> Any:
        """Send, serve the callbacks, return the answer; `Stopped` at a limit.

        What a test's own function raises beyond an Exception ends the process too.
        """
        if self.stopped:
            raise self.stopped
        self.meter.accounts = accounts
        try:
            return self._talk(request, callables, shared)
        except TimeoutError:
            late = time.monotonic() >= self.whole.end
            self.stop((self.whole if late else accounts[0]).words(), by_time=True)
        except Forged as error:
            self.stop(f"it sent what no function returns ({error})")
        except Closed:
            reason = self.meter.reason or self.watch.reason
            if not reason and self.group:
                reason = self.group.reason()
            by_time = self.meter.reason is not None
            self.stop(reason or "its process ended itself", by_time=by_time)
        except BaseException:
            self.stop("a test ended while it was called")
            raise
        finally:
            self.meter.accounts = accounts[1:]
        assert self.stopped, "by one of these"
        raise self.stopped

    def _talk(self, request: tuple, callables: list | None, shared: Sent | None) -> Any:
        """Send, and serve the callbacks until the answer comes, within wall limits."""
        deadline = min(time.monotonic() + PATIENCE * self.limits.call_s, self.whole.end)
        with self.meter.turn():
            self.channel.send(request, callables, shared, deadline=deadline)
            answer = self.channel.receive(None, shared, deadline=deadline)
        while True:
            match answer:  # a type first: an array's == is no truth
                case (str("callback"), int(number), tuple(args), dict(kwargs)):
                    began = time.monotonic()
                    reply = self._call_back(number, args, kwargs, callables or [])
                    deadline += time.monotonic() - began
                case _:
                    return answer
            with self.meter.turn():
                self._reply(reply, callables, deadline)
                answer = self.channel.receive(None, shared, deadline=deadline)

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

    def stop(self, reason: str, *, by_time: bool = False) -> None:
        """Kill the process and everything it started."""
        if not self.stopped:
            self.stopped = Stopped(reason)
            self.stopped.by_time = by_time
        self.close()

    def _cut(self) -> None:
        """Drop the leash, from another thread; what we wait for then ends."""
        with contextlib.suppress(OSError):
            self.leash.shutdown(socket.SHUT_WR)  # its other way stays open

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
        if self.group:
            self.group.close()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
