"""What a student wrote, as text that a page, a log and a terminal can bear.

    clean    text of a page: no control character, lone surrogate or override; bounded
    line     the same for a line of a table
    quoted   every line of it marked as somebody's words

Read in order: `clean`, `line`, `lines`, `quoted`.
"""

import re

MAX_TEXT = 100_000  # characters of an output
MAX_LINE, MAX_LINES = 300, 20  # of a reason or a note; of them all
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f"  # an escape would colour a log
    "\u202a-\u202e\u2066-\u2069]"  # an override turns the words around it
)


def clean(text: str, most: int = MAX_TEXT) -> str:
    """`text` without control characters, lone surrogates, or more than can be read."""
    cut = text[: most + 1].encode("utf-8", "replace").decode()
    shown = CONTROL.sub("", cut)
    return shown if len(text) <= most else f"{shown[:most]}\n… (cut)"


def line(text: str, most: int = MAX_LINE) -> str:
    """`text` on one line, of characters that can be seen, cut at `most` of them."""
    visible = (c if c.isprintable() else " " for c in text[: 4 * most])
    shown = " ".join("".join(visible).split())
    cut = len(shown) > most or len(text) > 4 * most
    return f"{shown[: most - 1]}…" if cut else shown


def lines(texts: list[str]) -> list[str]:
    """At most `MAX_LINES` of them, a line each; the last says how many more."""
    if len(texts) <= MAX_LINES:
        return [line(text) for text in texts]
    shown = [line(text) for text in texts[: MAX_LINES - 1]]
    return [*shown, f"and {len(texts) - len(shown):,} more"]


def quoted(text: str, whose: str) -> str:
    """`text` with `whose` before every line, whatever ends a line somewhere."""
    return "".join(f"{whose} | {line}\n" for line in text.splitlines())
