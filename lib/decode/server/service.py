"""The engine in a thread of its own, and the event loop that speaks with its clients.

    event loop ── commands ──→ thread: step, step, …  ── tokens ──→ streams in the loop

Only the thread touches the engine. Between two passes it does what it was asked: take a
request, let one go. A pass that fails ends the requests that were in it; the engine,
and whoever comes next, go on.

Read in order: `Service`, `Stream`.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable

from lib.decode.batching import Engine
from lib.decode.requests import Pass, Request


class Crowded(RuntimeError):  # noqa: N818 (a state that a client waits for to pass)
    """As many requests are here as may be."""


class Failed(RuntimeError):  # noqa: N818 (told to one client)
    """The pass that a request was in came to no end."""


class Stream:
    """One request's tokens, as they come; `reason` says why they ended."""

    def __init__(self) -> None:
        self.number = 0
        self.reason = ""
        self.pieces: asyncio.Queue[list[int] | Exception | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[list[int]]:
        """The tokens of each pass, until the text ends. Raises `Failed`."""
        while (piece := await self.pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def feed(self, tokens: list[int], reason: str) -> None:
        """What a pass wrote; in the event loop."""
        self.pieces.put_nowait(tokens)
        if reason:
            self.reason = reason
            self.pieces.put_nowait(None)


class Service:
    """An engine at work, for at most `places` requests at once. For a `with`.

    ValueError for no places.
    """

    def __init__(self, engine: Engine, *, places: int = 64) -> None:
        if places < 1:
            raise ValueError(f"places={places}")
        self.engine, self.places = engine, places
        self.streams: dict[int, Stream] = {}  # by the engine's numbers
        self.here = 0
        self.commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.closing = False
        self.thread = threading.Thread(target=self.run, name="engine", daemon=True)

    def __enter__(self) -> "Service":
        self.loop = asyncio.get_running_loop()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing = True
        self.commands.put(lambda: None)
        self.thread.join()

    # -------------------------------------------------------------- in the event loop

    @contextlib.asynccontextmanager
    async def answering(self, request: Request) -> AsyncIterator[Stream]:
        """The request's stream; leaving the `with` early lets the request go.

        Raises `Crowded` where all places are taken, ValueError for what cannot fit.
        """
        if self.here >= self.places:
            raise Crowded(f"{self.here} requests are being answered")
        self.here += 1
        stream, accepted = Stream(), self.loop.create_future()
        self.commands.put(lambda: self.take(request, stream, accepted))
        try:
            await asyncio.shield(accepted)
            yield stream
        finally:
            self.here -= 1
            self.commands.put(lambda: self.let_go(stream))

    # -------------------------------------------------------------- in the thread

    def run(self) -> None:
        """Pass after pass, and commands between them; without work, wait for one."""
        while not self.closing:
            self.obey()
            if not self.engine.busy:
                continue
            try:
                self.deliver(self.engine.step())
            except Exception as error:  # whatever it was, the others are not to blame
                self.fail(error)

    def obey(self) -> None:
        """Do what was asked for; wait for it where there is nothing else to do."""
        with contextlib.suppress(queue.Empty):
            self.commands.get(block=not self.engine.busy)()
            while True:
                self.commands.get_nowait()()

    def take(self, request: Request, stream: Stream, accepted: asyncio.Future) -> None:
        """Submit a request, or say why not."""
        try:
            stream.number = self.engine.submit(request)
        except ValueError as error:
            self.tell(settle, accepted, error)
        else:
            self.streams[stream.number] = stream
            self.tell(settle, accepted, None)

    def let_go(self, stream: Stream) -> None:
        """Cancel a request that is not at its end."""
        if self.streams.pop(stream.number, None):
            self.engine.cancel(stream.number)

    def deliver(self, done: Pass) -> None:
        """Hand each stream its tokens."""
        for number, tokens in done.new.items():
            reason = done.ended.get(number, "")
            stream = self.streams.get(number)
            if stream is None:
                continue
            if reason:
                del self.streams[number]
            self.tell(stream.feed, tokens, reason)

    def fail(self, error: Exception) -> None:
        """End whatever was at work, each with the reason."""
        why = Failed(f"{type(error).__name__}: {error}")
        for text in list(self.engine.working):
            self.engine.cancel(text.number)
            if stream := self.streams.pop(text.number, None):
                self.tell(stream.pieces.put_nowait, why)

    def tell(self, what: Callable, *args: object) -> None:
        """Have the event loop do something, if it is still there."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(what, *args)


def settle(accepted: asyncio.Future, error: Exception | None) -> None:
    """Answer whoever waits for it."""
    if accepted.done():
        return
    if error:
        accepted.set_exception(error)
    else:
        accepted.set_result(None)
