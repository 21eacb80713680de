"""Students' text becomes HTML in a child under limits, piece by piece.

    pieces of a page ─ pickle → child: markdown.py ─ bytes → HTML, or None for a piece

A piece on which the child dies or gives up (two seconds of processor, a gigabyte; for
all of a page six seconds, four megabytes and so many tags) is None, and is shown as it
was written. The child serves many pages, and is replaced where it dies.

Read in order: `Piece`, `Renderer.render`, `serve`.
"""

import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from course.grader.pages.markdown import coloured, markdown, without_pictures
from course.grader.terms import ROOT

MAX_SOURCE = 50_000  # characters of a piece; more is shown as it stands
MAX_PAGE = 4_000_000  # bytes of all of a page's pieces, beyond their pictures
MAX_TAGS = 60_000  # of them all: the formgrader reads its page as a tree of them
PIECE_S, PAGE_S = 2.0, 6.0  # of processor time
WAIT_S = 120.0  # for a piece, on a machine however busy
MEMORY = 1 << 30  # bytes


@dataclass(frozen=True)
class Piece:
    """A text of a cell: what to make of it, and the pictures that it may show."""

    kind: str  # "markdown" or "code"
    source: str
    pictures: dict[str, str] = field(default_factory=dict)  # data URIs by name

    @property
    def room(self) -> int:
        """The bytes that its own pictures may take, which do not count."""
        return 2 * sum(map(len, self.pictures.values()))


class Renderer:
    """A child for many pages; it starts with the first of them."""

    def __init__(self) -> None:
        self.here: Connection | None = None

    def render(self, pieces: list[Piece]) -> list[str | None]:
        """The HTML of a page's pieces; None for what the limits did not allow."""
        left, room, tags, done = PAGE_S, MAX_PAGE, MAX_TAGS, list[str | None]()
        for piece in pieces:
            html = None
            if left > 0 and len(piece.source) <= MAX_SOURCE:
                seconds, html = self.ask(piece, min(left, PIECE_S))
                left -= seconds
            if html is not None:
                room -= max(len(html) - piece.room, 0)
                tags -= html.count("<")
            done.append(html if min(room, tags) >= 0 else None)
        return done

    def ask(self, piece: Piece, seconds: float) -> tuple[float, str | None]:
        """The seconds that a piece took, and its HTML."""
        try:
            here = self.here or self.start()
            here.send((piece, seconds))
            if not here.poll(WAIT_S):
                raise TimeoutError
            took, made, html = here.recv_bytes(MAX_PAGE + piece.room).partition(b"\n")
            return float(took), html.decode() if made else None
        except (EOFError, OSError, ValueError):  # the child died of it
            self.close()
            return seconds, None

    def start(self) -> Connection:
        """Start a child."""
        here, there = socket.socketpair()
        with there:
            self.child = subprocess.Popen(
                [sys.executable, "-m", __name__, str(there.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
                start_new_session=True,  # Ctrl-C is for the one who asks
            )
        self.here = Connection(here.detach())
        return self.here

    def close(self) -> None:
        """End the child."""
        if self.here:
            self.here.close()
            self.here = None
            self.child.kill()
            self.child.wait()


# ------------------------------------------------------------------ the other side


def serve(there: Connection) -> None:
    """Render what comes, until the other end is closed; limits end this process.

    SIGPROF ends a process that does not heed it, in the middle of a regular expression.
    """
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            piece, seconds = there.recv()
        except (EOFError, ConnectionResetError):
            return
        begin = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            html = b"\n" + drawn(piece).encode("utf-8", "replace")
        except Exception:  # of four parsers, on a text that wants them to
            html = b""
        signal.setitimer(signal.ITIMER_PROF, 0)
        took = str(time.process_time() - begin).encode()
        there.send_bytes(
            took + html if len(html) < MAX_PAGE + piece.room - 100 else took
        )


def drawn(piece: Piece) -> str:
    """The HTML of a piece; raises whatever a parser raises."""
    if piece.kind == "code":
        return coloured(piece.source)
    if piece.pictures:
        return markdown(piece.source, piece.pictures)
    return without_pictures(piece.source)


if __name__ == "__main__":
    # Pickles name course.grader.pages.renderer, whichever name this was started under.
    from course.grader.pages.renderer import serve as render_what_comes

    render_what_comes(Connection(int(sys.argv[1])))
