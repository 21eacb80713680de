"""Zips as an LMS writes them, and what lies there once one is collected."""

import json
import zipfile

NAME = "hw_x"
RELEASES = {
    NAME: frozenset({"setup", "double", "test_double", "why"}),
    "hw_other": frozenset({"setup", "halve", "test_halve"}),
}


def notebook(name=NAME, words="mine"):
    """A notebook with the grade ids of a homework, and some words of its own."""
    cells = [
        {
            "cell_type": "code",
            "source": words,
            "metadata": {"nbgrader": {"grade_id": g}},
        }
        for g in sorted(RELEASES.get(name, ()))
    ]
    plain = {"cell_type": "code", "source": words, "metadata": {}}
    return json.dumps({"cells": [*cells, plain]}).encode()


NOTEBOOK = notebook()
SCRATCH = notebook("none")


def entry(path, when=(2026, 1, 1, 0, 0, 0)):
    return zipfile.ZipInfo(path, when)


def zipped(path, entries, method=zipfile.ZIP_DEFLATED):
    """A zip with `entries`: {name or ZipInfo: bytes}."""
    with zipfile.ZipFile(path, "w", method) as bundle:
        for name, content in entries.items():
            bundle.writestr(name, content)
    return path


def taken(folder):
    """{student: content} of what was handed in, and that nothing else is there."""
    files = {path for path in folder.rglob("*") if path.is_file() or path.is_symlink()}
    found = {
        path: path.parents[1].name for path in folder.glob(f"*/{NAME}/{NAME}.ipynb")
    }
    assert files == found.keys()
    return {student: path.read_bytes() for path, student in found.items()}


def handed_in(folder):
    """{student: content}, and {student: time} where there is one."""
    works = folder.glob(f"*/{NAME}/{NAME}.ipynb")
    return {path.parents[1].name: path.read_bytes() for path in works}


def stamps(folder):
    times = folder.glob(f"*/{NAME}/timestamp.txt")
    return {path.parents[1].name: path.read_text() for path in times}
