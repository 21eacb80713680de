"""What a student's cells showed, rebuilt from plain parts: text, TeX and pictures.

    claimed by the box ─ checked ─→ outputs of a notebook        no HTML, script or SVG

Read in order: `checked`, `kept_data`, `error_output`.
"""

from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from course.grader.box.sandbox import Stopped
from course.grader.judging import pictures
from course.grader.words import clean

MAX_PICTURE = 1_500_000  # characters of base64
MAX_OUTPUTS = 20  # of one cell
MAX_LINES = 12  # of a traceback
MAX_TEX = 10_000  # characters of a formula, which a browser draws slowly


def checked(claimed: Any) -> list[NotebookNode]:
    """The outputs that a cell in the box claims, rebuilt from their plain parts.

    Text and pictures only: no HTML, no script, no SVG. Raises `Stopped` for a shape
    that our own sandboxed.py never sends.
    """
    outputs = []
    for output in claimed[:MAX_OUTPUTS] if isinstance(claimed, list) else [None]:
        match output:
            case {"output_type": str("stream"), "text": str(text)}:
                outputs.append(new_output("stream", text=clean(text)))
            case {"output_type": str("display_data"), "data": dict(data)}:
                if kept := kept_data(data):
                    outputs.append(new_output("display_data", kept))
            case {
                "output_type": str("error"),
                "ename": str(kind),
                "evalue": str(why),
                "traceback": list(lines),
            }:
                lines = [x for x in lines[:MAX_LINES] if isinstance(x, str)]
                outputs.append(error_output(kind, why, lines))
            case _:
                raise Stopped("it sent what no cell shows")
    return outputs


def kept_data(data: dict) -> dict[str, str]:
    """Plain text, TeX, and PNG pictures that really are PNG."""
    kept = {}
    for kind in ("text/plain", "text/latex"):
        if isinstance(text := data.get(kind), str):
            kept[kind] = clean(text)
    if len(kept.get("text/latex", "")) > MAX_TEX:
        del kept["text/latex"]
    if picture := pictures.checked("image/png", data.get("image/png"), MAX_PICTURE):
        kept["image/png"] = picture
    return kept


def error_output(kind: str, why: str, lines: list[str] | None = None) -> NotebookNode:
    """An error that says why, in words; `lines` are the student's own."""
    kind, why = clean(kind)[:100], clean(why)
    trace = [clean(line) for line in lines or []] or [f"{kind}: {why}"]
    return new_output("error", ename=kind, evalue=why, traceback=trace)
