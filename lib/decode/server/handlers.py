"""The HTTP side: one handler a path, on tornado.

    POST /v1/completions   POST /v1/chat/completions   GET /v1/models   GET /health

A client that hangs up lets its requests go, at the latest with the next pass. One that
reads slowly holds up nobody: its answer is never longer than what was asked for, and
waits in its own queue. Where all places are taken, the answer is 429, at once.

Read in order: `application`, `Answers.post`, `stream`, `whole`.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler
from transformers import PreTrainedTokenizerBase

from lib.decode.server import answers
from lib.decode.server.asking import Asked, asked
from lib.decode.server.fields import Refused
from lib.decode.server.service import Crowded, Service
from lib.decode.server.text import TextStream

Piece = tuple[int, str, str, int]  # choice, text, why it ended or "", tokens


class Handler(RequestHandler):
    """Whatever answers with JSON."""

    def initialize(self, served: "Served") -> None:
        """Keep what all handlers share."""
        self.served = served

    def send_error_of(self, why: Exception) -> None:
        """Answer with an error's status and sentence."""
        status, body = answers.error(why)
        self.set_status(status)
        if status == 429:
            self.set_header("Retry-After", "1")
        self.finish(body)

    def write_error(self, status_code: int, **_: Any) -> None:
        """What tornado itself refuses: unknown paths, methods, and our own slips."""
        kind = "invalid_request_error" if status_code < 500 else "server_error"
        where = f"{self.request.method} {self.request.path}"
        self.finish(answers.problem(f"{where}: {self._reason}", kind))


class Served:
    """A service, and what it serves: a model's name, its tokenizer, its limits."""

    def __init__(
        self,
        service: Service,
        tokenizer: PreTrainedTokenizerBase,
        *,
        model: str,
        ends: frozenset[int],
    ) -> None:
        self.service, self.tokenizer = service, tokenizer
        self.model, self.ends = model, ends
        self.context = service.engine.context


class Answers(Handler):
    """Completions and chat completions."""

    def initialize(self, served: Served, chat: bool) -> None:
        """Keep what all handlers share, and which of the two it is."""
        super().initialize(served)
        self.chat = chat
        self.work: asyncio.Task | None = None

    async def post(self) -> None:
        """Answer; whoever hangs up ends the work."""
        served = self.served
        try:
            wanted = asked(
                self.request.body,
                chat=self.chat,
                model=served.model,
                tokenizer=served.tokenizer,
                context=served.context,
                ends=served.ends,
            )
        except Refused as why:
            return self.send_error_of(why)
        answer = self.stream if wanted.stream else self.whole
        self.work = asyncio.ensure_future(answer(wanted))
        try:
            await self.work
        except (asyncio.CancelledError, StreamClosedError):
            return None  # nobody listens
        return None

    def on_connection_close(self) -> None:
        """The client hung up."""
        if self.work:
            self.work.cancel()

    async def whole(self, wanted: Asked) -> None:
        """One object with every choice's text."""
        texts = [("", "")] * len(wanted.requests)
        written = 0
        try:
            async with aclosing(self.pieces(wanted)) as pieces:
                async for index, text, reason, tokens in pieces:
                    texts[index] = texts[index][0] + text, reason
                    written += tokens
        except Exception as why:
            return self.send_error_of(blamed(why))
        return self.finish(answers.answer(wanted, texts, written))

    async def stream(self, wanted: Asked) -> None:
        """Piece by piece; what fails before the first is an error, later its last."""
        written, begun = 0, False
        try:
            async with aclosing(self.pieces(wanted)) as pieces:
                async for index, text, reason, tokens in pieces:
                    if not begun:
                        begun = True
                        await self.begin(wanted)
                    written += tokens
                    if text:
                        await self.say(answers.chunk(wanted, index, text))
                    if reason:
                        await self.say(answers.chunk(wanted, index, "", reason))
        except StreamClosedError:
            raise
        except Exception as why:
            if not begun:
                return self.send_error_of(blamed(why))
            await self.say(answers.error(blamed(why))[1])
        else:
            if wanted.usage:
                await self.say(answers.last(wanted, written))
        self.write("data: [DONE]\n\n")
        return self.finish()

    async def begin(self, wanted: Asked) -> None:
        """The head of a stream; in a chat each choice says who speaks."""
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")  # a proxy would wait for more
        await self.flush()
        for index in range(len(wanted.requests) if wanted.chat else 0):
            await self.say(answers.opening(wanted, index))

    async def say(self, piece: dict[str, Any]) -> None:
        """Send one piece, and wait until the client has room for it."""
        self.write(f"data: {json.dumps(piece, ensure_ascii=False)}\n\n")
        await self.flush()

    async def pieces(self, wanted: Asked) -> AsyncGenerator[Piece, None]:
        """The pieces of all choices, as they come."""
        found: asyncio.Queue[Piece | None] = asyncio.Queue()

        async def choice(index: int) -> None:
            async for piece in self.choice(wanted, index):
                found.put_nowait(piece)

        async def all_of_them() -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    for index in range(len(wanted.requests)):
                        group.create_task(choice(index))
            finally:
                found.put_nowait(None)

        work = asyncio.ensure_future(all_of_them())
        try:
            while (piece := await found.get()) is not None:
                yield piece
            await work
        finally:
            work.cancel()

    async def choice(self, wanted: Asked, index: int) -> AsyncGenerator[Piece, None]:
        """One choice's pieces, up to its end or the first stop sequence."""
        text = TextStream(self.served.tokenizer, wanted.stop)
        async with self.served.service.answering(wanted.requests[index]) as stream:
            async for tokens in stream:
                yield index, text.add(tokens), "", len(tokens)
                if text.stopped:
                    break
            rest = text.finish()
            yield index, rest, "stop" if text.stopped else stream.reason, 0


class Models(Handler):
    """Which models there are: one."""

    def get(self, name: str = "") -> None:
        """The list, or one of it."""
        one = {"id": self.served.model, "object": "model", "owned_by": "course"}
        one["created"] = 0
        if not name:
            return self.finish({"object": "list", "data": [one]})
        if name != self.served.model:
            why = f"The model `{name}` does not exist; this server has `{one['id']}`"
            missing = Refused(why, "model", status=404, code="model_not_found")
            return self.send_error_of(missing)
        return self.finish(one)


class Health(Handler):
    """Whether it is there, and how busy."""

    def get(self) -> None:
        """How many requests are here, and how many fit."""
        service = self.served.service
        self.finish({"status": "ok", "requests": service.here, "of": service.places})


class Unknown(Handler):
    """Every other path."""

    def prepare(self) -> None:
        """Say which paths there are."""
        why = f"{self.request.path} is unknown; see /v1/models, /v1/chat/completions"
        self.send_error_of(Refused(why, status=404))


def blamed(why: Exception) -> Exception:
    """The first cause in a group; ValueErrors of the engine are the client's."""
    while isinstance(why, ExceptionGroup):
        why = why.exceptions[0]
    if isinstance(why, ValueError) and not isinstance(why, Refused | Crowded):
        return Refused(str(why))
    return why


def application(served: Served) -> Application:
    """The server's paths."""
    shared = {"served": served}
    return Application(
        [
            ("/v1/completions", Answers, {**shared, "chat": False}),
            ("/v1/chat/completions", Answers, {**shared, "chat": True}),
            ("/v1/models/?", Models, shared),
            ("/v1/models/(.+)", Models, shared),
            ("/health", Health, shared),
        ],
        default_handler_class=Unknown,
        default_handler_args=shared,
    )
