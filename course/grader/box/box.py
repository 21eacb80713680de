"""The box that student code runs in: bubblewrap around a warm process, a fork for each.

    Box (one a worker) ── bwrap ── zygote ── supervisor ── sandboxed process
    Sandbox (one a submission) = a channel to its process, and the leash that kills it

What is inside says bubblewrap.py; what happens there, zygote.py and sandboxed.py.

Read in order: `Box`; then sandbox.py.
"""

import contextlib
import socket
import struct
import subprocess
import sys
import time

from course.grader.box.bubblewrap import INSTALL, command
from course.grader.box.channel import Channel
from course.grader.box.groups import lent
from course.grader.box.journal import Journal
from course.grader.box.memory import at_most, exceeds, shares
from course.grader.box.meter import Account
from course.grader.box.processes import descendants
from course.grader.box.sandbox import Sandbox
from course.grader.box.visible import origin
from course.grader.box.zygote import LACKS, READY
from course.grader.terms import PATIENCE, Limits, NoBox

START_S = 600.0  # for importing torch on a busy machine, and for a fork
CREDENTIALS = struct.Struct("3i")  # process, user, group
OUTSIDE = (
    "{told}. Outside, Python finds that in {where}: install it and what it needs into "
    f"the environment itself, {sys.prefix}, as files and not as links."
)


class Box:
    """A warm zygote; `sandbox()` forks a submission its process. Close it when done.

    `warm` names modules that it imports once for all, beside torch and IPython;
    `hidden` are paths of which nothing can be seen, wherever they are.
    Not `boxed`, it is a plain process of the grader's own: for students one trusts.
    Raises `NoBox` where bubblewrap is missing or cannot start.
    """

    def __init__(
        self,
        withheld: tuple[str, ...] = (),
        limits: Limits | None = None,
        *,
        boxed: bool = True,
        warm: tuple[str, ...] = (),
        hidden: tuple[str, ...] = (),
    ) -> None:
        self.limits = limits or Limits()
        self.journal = Journal()  # of a test's own that functions changed, to be undone
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.ExitStack() as until_ready, theirs:
            until_ready.callback(ours.close)
            self.process = subprocess.Popen(
                command(
                    tuple(withheld), theirs.fileno(), self.limits, boxed, warm, hidden
                ),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            theirs.close()
            self.control = ours
            self._await_ready()
            # What is there before any submission
            self.given = shares({pid: at_most(pid) for pid in self.family()})
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
            if told[0].startswith(LACKS):
                module = told[0].removeprefix(LACKS).split()[0]
                raise NoBox(OUTSIDE.format(told=told[0], where=origin(module)))
            raise NoBox(INSTALL.format(why=f"cannot start ({told[0]})"))

    def family(self) -> list[int]:
        """The zygote, what runs it, and all its descendants; ancestors first."""
        return [self.process.pid, *descendants(self.process.pid)]

    def exceeds(self, limit: int) -> bool:
        """Whether what is inside takes `limit` bytes more than it did at first."""
        return exceeds(self.family(), self.given + limit)

    def whole(self) -> Account:
        """What pays for a submission, in however many sandboxes it runs."""
        total = self.limits.total_s
        end = time.monotonic() + PATIENCE * total
        return Account("the whole submission", total, end=end)

    def sandbox(self, whole: Account | None = None) -> Sandbox:
        """Fork a sandboxed process for one submission, which `whole` pays for."""
        channel, its_channel = socket.socketpair()
        leash, its_leash = socket.socketpair()
        leash.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        with its_channel, its_leash:
            fds = [its_leash.fileno(), its_channel.fileno()]
            socket.send_fds(self.control, [b"c"], fds)
        root = supervisor(leash)
        group = None
        if groups := lent():
            with contextlib.suppress(ProcessLookupError):  # it has ended
                group = groups.new(root, self.limits)
        leash.send(b"g")  # it may go on, and fork
        paying = whole or self.whole()
        sandbox = Sandbox(
            Channel(channel), leash, self.limits, self.exceeds, root, paying
        )
        sandbox.journal, sandbox.group = self.journal, group
        return sandbox

    def close(self) -> None:
        """End the zygote, and with it everything inside."""
        self.control.close()
        self.process.kill()
        self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()

    def __enter__(self) -> "Box":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def supervisor(leash: socket.socket) -> int:
    """The process at a leash's other end, as we number it: the kernel signs its hello.

    Raises ConnectionError where it never came to be.
    """
    leash.settimeout(START_S)
    _, ancillary, _, _ = leash.recvmsg(1, socket.CMSG_SPACE(CREDENTIALS.size))
    for _, kind, content in ancillary:
        if kind == socket.SCM_CREDENTIALS:
            return CREDENTIALS.unpack(content)[0]
    raise ConnectionError("the box has ended: no sandbox came to be")
