"""A request's body, field by field: each is taken once, and checked as it is taken.

What cannot be honoured is refused, with the field's name, and never passed over in
silence: who asks for log probabilities and gets none is misled. Only fields that have
no effect on the text may be ignored.

Read in order: `Refused`, `Fields`.
"""

import json
from typing import Any

HARMLESS = {"user", "metadata", "store", "service_tier", "safety_identifier"}
WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {  # values that ask for nothing
    "best_of": (None, 1),
    "echo": (None, False),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "logit_bias": (None, {}),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "suffix": (None, ""),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
}


class Refused(ValueError):  # noqa: N818 (the client's mistake, told to the client)
    """What a body asks for and does not get: a sentence, its field, an HTTP status."""

    def __init__(
        self, why: str, param: str | None = None, *, status: int = 400, code: str = ""
    ) -> None:
        super().__init__(why)
        self.param, self.status, self.code = param, status, code or None


class Fields:
    """A body's fields, each taken once."""

    def __init__(self, body: bytes) -> None:
        try:
            self.left = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(f"the body is not JSON: {error}") from None
        if not isinstance(self.left, dict):
            raise Refused("the body is not a JSON object")

    def take(self, name: str, *kinds: type) -> Any:
        """A field's value, or None; of one of `kinds`."""
        value = self.left.pop(name, None)
        right = isinstance(value, kinds) and not (
            isinstance(value, bool) and bool not in kinds
        )
        if value is not None and not right:
            due = " or ".join(KINDS[kind] for kind in kinds)
            raise Refused(f"{name} is {json.dumps(value)[:60]}, and not {due}", name)
        return value

    def number(self, name: str, kind: type, default: Any, low: Any, high: Any) -> Any:
        """A number from `low` to `high`; `default` where none is given."""
        value = self.take(name, *((int, float) if kind is float else (int,)))
        if value is None:
            return default
        if not low <= value <= high:  # NaN is in no range
            raise Refused(f"{name} is {value}, and must be in [{low}, {high}]", name)
        return kind(value)

    def nothing_left(self) -> None:
        """Refuse what nobody read, and what would change the text."""
        for name, value in self.left.items():
            if name in HARMLESS or value is None:
                continue
            if name not in WITHOUT_EFFECT:
                raise Refused(f"Unrecognized request argument supplied: {name}", name)
            if value not in WITHOUT_EFFECT[name]:
                raise Refused(f"{name} is not supported by this server", name)


KINDS = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
