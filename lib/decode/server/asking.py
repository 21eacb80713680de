"""What may be asked over HTTP: OpenAI's completions and chat completions.

Read in order: `Asked`, `asked`, `prompts_of`, `chat_prompt`.
Source: OpenAI's API reference, "Completions" and "Chat completions".
"""

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedTokenizerBase

from lib.decode.requests import Request
from lib.decode.sampling import Sampling
from lib.decode.server.fields import Fields, Refused

MOST_CHOICES = 16  # prompts times n of one body
MOST_STOPS = 4
DEFAULT_TOKENS = 16  # of a completion, as OpenAI has it; a chat may fill the context


@dataclass(frozen=True)
class Asked:
    """A checked body: one engine's request for each choice, and how to answer."""

    chat: bool
    model: str
    requests: list[Request]
    stop: tuple[str, ...] = ()
    stream: bool = False
    usage: bool = False  # a last chunk that counts
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def kind(self) -> str:
        """The objects' name."""
        return "chat.completion" if self.chat else "text_completion"


def asked(
    body: bytes,
    *,
    chat: bool,
    model: str,
    tokenizer: PreTrainedTokenizerBase,
    context: int,
    ends: frozenset[int],
) -> Asked:
    """Read a body. Raises `Refused`, with the field that is wrong.

    `context` is how many tokens a text may have, `ends` the tokens that end one.
    """
    fields = Fields(body)
    named = fields.take("model", str)
    if named is None:
        raise Refused("you must provide a model parameter", "model")
    if named != model:
        why = f"The model `{named}` does not exist; this server has `{model}`"
        raise Refused(why, "model", status=404, code="model_not_found")
    prompts = chat_prompt(fields, tokenizer) if chat else prompts_of(fields, tokenizer)
    n = fields.number("n", int, 1, 1, MOST_CHOICES)
    if n * len(prompts) > MOST_CHOICES:
        raise Refused(f"at most {MOST_CHOICES} choices, not {n * len(prompts)}", "n")
    sampling = Sampling(
        fields.number("temperature", float, 1.0, 0.0, 2.0),
        fields.number("top_k", int, 0, 0, 1 << 31),
        fields.number("top_p", float, 1.0, 1e-6, 1.0),
        fields.number("min_p", float, 0.0, 0.0, 1.0),
    )
    default = uuid.uuid4().int % (1 << 31)
    seed = fields.number("seed", int, default, -(1 << 63), (1 << 63) - 1)
    most = fields.number("max_completion_tokens", int, None, 1, 1 << 31)
    most = fields.number("max_tokens", int, most, 1, 1 << 31)
    requests = []
    for prompt in prompts:
        left = context - len(prompt)
        new = most or (max(left, 1) if chat else DEFAULT_TOKENS)
        if not prompt:
            raise Refused("the prompt has no tokens", "messages" if chat else "prompt")
        if new > left:
            why = (
                f"This model's context is {context} tokens; {len(prompt)} of the "
                f"prompt and {new} of the answer do not fit"
            )
            where = "messages" if chat else "prompt"
            raise Refused(why, where, code="context_length_exceeded")
        requests += [
            Request(tuple(prompt), new, sampling, seed + choice, ends)
            for choice in range(n)
        ]
    stop = stops(fields)
    stream = fields.take("stream", bool) or False
    options = fields.take("stream_options", dict) or {}
    if options and not stream:
        raise Refused("stream_options is for streams only", "stream_options")
    fields.nothing_left()
    usage = bool(options.get("include_usage"))
    return Asked(chat, model, requests, stop, stream, usage)


def prompts_of(fields: Fields, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """The prompts of a completion: a text, texts, tokens, or lists of tokens."""
    prompt = fields.take("prompt", str, list)
    if prompt is None or prompt == []:
        raise Refused("you must provide a prompt", "prompt")
    if isinstance(prompt, str) or all(isinstance(x, int) for x in prompt):
        prompt = [prompt]
    if len(prompt) > MOST_CHOICES:
        raise Refused(f"at most {MOST_CHOICES} prompts, not {len(prompt)}", "prompt")
    return [tokens_of(one, tokenizer) for one in prompt]


def tokens_of(prompt: Any, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """A prompt's tokens; given as tokens, they must be some of the vocabulary."""
    if isinstance(prompt, str):
        return tokenizer(prompt).input_ids
    if not isinstance(prompt, list) or not all(type(x) is int for x in prompt):
        raise Refused("a prompt is a text or a list of tokens", "prompt")
    if wrong := [x for x in prompt if not 0 <= x < len(tokenizer)]:
        raise Refused(f"token {wrong[0]} is none of {len(tokenizer)}", "prompt")
    return prompt


def chat_prompt(fields: Fields, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """The one prompt of a chat: its messages in the model's own form."""
    messages = fields.take("messages", list)
    if not messages:
        raise Refused("messages must have at least one message", "messages")
    plain = [message_of(one, f"messages[{i}]") for i, one in enumerate(messages)]
    try:
        text = tokenizer.apply_chat_template(
            plain, tokenize=False, add_generation_prompt=True
        )
    except Exception as error:  # a template is a program, and raises what it likes
        raise Refused(f"the model's template: {error}", "messages") from None
    return [tokenizer(text, add_special_tokens=False).input_ids]


def message_of(message: Any, where: str) -> dict[str, str]:
    """A message with a role and plain text, of which content parts are joined."""
    if not isinstance(message, dict):
        raise Refused(f"{where} is not an object", where)
    role, content = message.get("role"), message.get("content")
    if role == "developer":  # the newer name
        role = "system"
    if role not in ("system", "user", "assistant"):
        why = f"{where}.role is {json.dumps(role)[:40]}: system, user or assistant"
        raise Refused(why, f"{where}.role")
    if isinstance(content, list) and all(
        isinstance(p, dict) and p.get("type") == "text" and type(p.get("text")) is str
        for p in content
    ):
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise Refused(f"{where}.content is not text", f"{where}.content")
    return {"role": role, "content": content}


def stops(fields: Fields) -> tuple[str, ...]:
    """The sequences that end a text."""
    stop = fields.take("stop", str, list)
    stop = [stop] if isinstance(stop, str) else stop or []
    if len(stop) > MOST_STOPS or not all(isinstance(x, str) and x for x in stop):
        raise Refused(f"stop is up to {MOST_STOPS} texts, none of them empty", "stop")
    return tuple(stop)
