"""How requests are answered: OpenAI's objects, whole or piece by piece, and errors.

    stream:  data: {piece}  …  data: {piece with finish_reason}  [data: {usage}]
             data: [DONE]

Read in order: `answer`, `chunk`, `error`.
Source: OpenAI's API reference, "Completions" and "Chat completions".
"""

from typing import Any

from lib.decode.server.asking import Asked
from lib.decode.server.fields import Refused
from lib.decode.server.service import Crowded, Failed


def answer(asked: Asked, texts: list[tuple[str, str]], written: int) -> dict[str, Any]:
    """The whole answer: of each choice its text and why it ended."""
    choices = []
    for index, (text, reason) in enumerate(texts):
        said: dict[str, Any] = {"text": text}
        if asked.chat:
            said = {"message": {"role": "assistant", "content": text}}
        choices.append(
            {"index": index, **said, "logprobs": None, "finish_reason": reason}
        )
    return head(asked) | {"choices": choices, "usage": usage(asked, written)}


def chunk(asked: Asked, index: int, text: str, reason: str = "") -> dict[str, Any]:
    """A piece of a stream: more text, or with a reason the choice's end."""
    said: dict[str, Any] = {"text": text}
    if asked.chat:
        said = {"delta": {"content": text} if text or not reason else {}}
    choice = {"index": index, **said, "logprobs": None, "finish_reason": reason or None}
    counted = {"usage": None} if asked.usage else {}
    return head(asked, stream=True) | {"choices": [choice]} | counted


def opening(asked: Asked, index: int) -> dict[str, Any]:
    """The first piece of a chat's choice says who speaks."""
    first = chunk(asked, index, "")
    first["choices"][0]["delta"] = {"role": "assistant", "content": ""}
    return first


def last(asked: Asked, written: int) -> dict[str, Any]:
    """The piece that counts, where it was asked for."""
    return head(asked, stream=True) | {"choices": [], "usage": usage(asked, written)}


def head(asked: Asked, *, stream: bool = False) -> dict[str, Any]:
    """What every object begins with."""
    kind = "chat.completion.chunk" if asked.chat and stream else asked.kind
    prefix = "chatcmpl" if asked.chat else "cmpl"
    return {
        "id": f"{prefix}-{asked.id}",
        "object": kind,
        "created": asked.created,
        "model": asked.model,
    }


def usage(asked: Asked, written: int) -> dict[str, int]:
    """Tokens read and written; a prompt counts once, whatever n is."""
    read = sum(len(prompt) for prompt in {r.prompt: None for r in asked.requests})
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def error(why: Exception) -> tuple[int, dict[str, Any]]:
    """The HTTP status and the body for what went wrong, as OpenAI's clients read."""
    match why:
        case Refused():
            kind = "invalid_request_error"
            return why.status, problem(str(why), kind, why.param, why.code)
        case Crowded():
            text = f"{why}: try again in a moment"
            return 429, problem(text, "rate_limit_error", code="rate_limit_exceeded")
        case Failed():
            return 500, problem(f"the model's pass failed: {why}", "server_error")
    return 500, problem("the server failed; its log says how", "server_error")


def problem(
    message: str, kind: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """An error as clients of OpenAI read it."""
    body = {"message": message, "type": kind, "param": param, "code": code}
    return {"error": body}
