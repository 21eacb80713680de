"""Pictures of a student's: PNG and JPEG, by what is in them and not by their names.

    base64 ─ magic, size, width × height ─→ base64, or None

A browser makes room for a picture as large as its header says, and 194 KB can say
40,000 × 40,000. So the header is read, and nothing is decoded.

Read in order: `checked`, `size`, `attached`, `pulled`.
"""

import base64
import binascii
import re
from typing import Any

MAX_PICTURE = 6_000_000  # characters of base64
MAX_PIXELS = 25_000_000  # a photograph's; its browser needs four bytes for each
MAX_SIDE = 16_384
MAX_SCANS = 100  # of a JPEG: a browser draws each over the whole picture
MAX_ATTACHED = 20  # of one cell
MAX_NAME = 200
KINDS = ("image/png", "image/jpeg")
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG's markers with a size
INLINE = re.compile(r"data:(image/(?:png|jpeg));base64,([A-Za-z0-9+/=]+)")

Attached = dict[str, dict[str, str]]  # {name: {kind: base64}}, as notebooks have it


def checked(kind: str, text: Any, most: int = MAX_PICTURE) -> str | None:
    """The picture once more in base64; None if it is no `kind` of bearable size."""
    text = "".join(text) if _is_lines(text) else text
    if not isinstance(text, str) or len(text) > most:
        return None
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
        width, height = size(kind, content)
    except (binascii.Error, ValueError, IndexError):
        return None
    if min(width, height) == 0 or max(width, height) > MAX_SIDE:
        return None
    if width * height > MAX_PIXELS:
        return None
    return base64.b64encode(content).decode()


def size(kind: str, content: bytes) -> tuple[int, int]:
    """(width, height) by the header; ValueError or IndexError for another kind."""
    if kind == "image/png" and content.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"):
        return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    if kind != "image/jpeg" or not content.startswith(b"\xff\xd8\xff"):
        raise ValueError(f"this is no {kind}")
    if content.count(b"\xff\xda") > MAX_SCANS:
        raise ValueError("it is drawn in too many scans")
    at = 2
    while content[at] == 0xFF and content[at + 1] not in FRAMES:
        at += 2 + max(int.from_bytes(content[at + 2 : at + 4]), 2)
    if content[at] != 0xFF or len(content) < at + 9:
        raise ValueError("its header has no size")
    height, width = content[at + 5 : at + 7], content[at + 7 : at + 9]
    return int.from_bytes(width), int.from_bytes(height)


def attached(claimed: Any) -> Attached:
    """The pictures that were pasted into a cell, each checked."""
    kept: Attached = {}
    for name, bundle in claimed.items() if isinstance(claimed, dict) else ():
        if len(kept) == MAX_ATTACHED:
            break
        if isinstance(bundle, dict) and len(name) <= MAX_NAME:
            for kind in KINDS:
                if picture := checked(kind, bundle.get(kind)):
                    kept[name] = {kind: picture}
    return kept


def pulled(source: str, claimed: Any) -> tuple[str, dict]:
    """A text without the pictures in it, as Colab pastes them, and all attachments."""
    every = dict(claimed) if isinstance(claimed, dict) else {}

    def pull(found: re.Match[str]) -> str:
        name = f"in-the-text-{len(every) + 1}"
        every[name] = {found[1]: found[2]}
        return f"attachment:{name}"

    return INLINE.sub(pull, source), every


def _is_lines(text: Any) -> bool:
    return isinstance(text, list) and all(isinstance(line, str) for line in text)
