"""Frames over a stream socket: each holds one value, and each wait has a deadline.

    send: value → wire.encode → socket        receive: socket → reading.decode → value

Read in order: `Closed`, `Channel`.
"""

import math
import select
import socket
import time
from collections.abc import Callable
from typing import Any

from course.grader.box.reading import decode
from course.grader.box.regions import Forged
from course.grader.box.sharing import Nothing
from course.grader.box.wire import HEADER, MAX_BLOBS, MAX_JSON, Stub, encode

SMALL = 1 << 16  # bytes that are worth copying to send them at once


class Closed(ConnectionError):  # noqa: N818
    """The other side is gone."""


class Channel:
    """Frames over a stream socket, with a deadline for every one that is awaited."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket, self.ahead = connection, b""
        self.socket.setblocking(False)

    def send(
        self,
        value: Any,
        callables: list[Callable[..., Any]] | None = None,
        shared: Nothing | None = None,
        *,
        deadline: float = math.inf,
    ) -> None:
        """Send one frame; `Unsendable` (and nothing sent), `Closed` or TimeoutError."""
        pieces = encode(value, callables, shared)
        if max(map(len, pieces)) <= SMALL:
            pieces = [b"".join(pieces)]  # one trip to the kernel, not three
        for piece in pieces:
            view = memoryview(piece).cast("B")
            while view:
                try:
                    view = view[self.socket.send(view[: 1 << 20]) :]
                except BlockingIOError:
                    self._wait(select.POLLOUT, deadline)
                except OSError as error:
                    raise Closed(str(error)) from None

    def receive(
        self,
        stub: Stub | None = None,
        shared: Nothing | None = None,
        *,
        deadline: float = math.inf,
    ) -> Any:
        """The next frame's value; `Forged`, `Closed`, or TimeoutError at `deadline`."""
        text_size, blobs_size = HEADER.unpack(self._exactly(HEADER.size, deadline))
        if text_size > MAX_JSON or blobs_size > MAX_BLOBS:
            raise Forged(f"a frame of {text_size:,} + {blobs_size:,} bytes")
        text = self._exactly(text_size, deadline)
        blobs = self._exactly(blobs_size, deadline)
        return decode(bytes(text), blobs, stub, shared)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def _exactly(self, size: int, deadline: float) -> memoryview:
        """The next `size` bytes. Memory is touched only as they arrive.

        Behind few of them the next ones are there already, and come along.
        """
        content = memoryview(bytearray(size))
        filled = 0
        while filled < size:
            if self.ahead:
                taken = self.ahead[: size - filled]
                content[filled : filled + len(taken)] = taken
                self.ahead, filled = self.ahead[len(taken) :], filled + len(taken)
                continue
            if time.monotonic() >= deadline:  # a flood never has to be waited for
                raise TimeoutError
            try:
                if size - filled < SMALL:
                    self.ahead = self.socket.recv(SMALL)
                    count = len(self.ahead)
                else:
                    count = self.socket.recv_into(content[filled:])
            except BlockingIOError:
                self._wait(select.POLLIN, deadline)
                continue
            except OSError as error:
                raise Closed(str(error)) from None
            if not count:
                raise Closed("the other side hung up")
            filled += 0 if self.ahead else count
        return content

    def _wait(self, event: int, deadline: float) -> None:
        """Return when the socket may be ready; TimeoutError at `deadline`."""
        poll = select.poll()
        poll.register(self.socket, event)
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if not poll.poll(None if left == math.inf else left * 1000):
            raise TimeoutError
