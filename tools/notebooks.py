"""Execute, normalize and check the notebooks that the repository keeps.

    python tools/notebooks.py execute notebooks/*.ipynb   run, store outputs, normalize
    python tools/notebooks.py normalize solutions         rewrite in the one clean form
    python tools/notebooks.py check notebooks solutions   say what is not clean

A lecture is committed with its outputs, a homework source (nbgrader's) without.
One form, so that two people who run the same notebook commit the same bytes: minimal
metadata, ids made from content, executions numbered from 1, no stderr, no widget state.
"""

import argparse
import copy
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

MAX_BYTES = 1_000_000
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT_CELL_METADATA = ("nbgrader", "tags", "jupyter", "slideshow")
WIDGET = "application/vnd.jupyter.widget-view+json"
RANDOM_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f-]+)?")  # nbformat's and JupyterLab's own
VALID_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
ABSOLUTE_PATH = re.compile(r"(?<![\w/.:<$\\)}\]>-])/(?:[\w.-]+/)+[\w.-]*|\b[A-Z]:\\\w")


def is_homework(nb: NotebookNode) -> bool:
    """Tell a homework source: at least one of its cells belongs to nbgrader."""
    return any("nbgrader" in cell.metadata for cell in nb.cells)


def find(paths: list[str]) -> Iterator[Path]:
    """Yield the notebooks named by `paths`, folders searched, checkpoints left out."""
    for path in map(Path, paths):
        if not path.exists():
            raise ValueError(f"there is no {path}")
        found = sorted(path.rglob("*.ipynb")) if path.is_dir() else [path]
        yield from (p for p in found if ".ipynb_checkpoints" not in p.parts)


def execute(nb: NotebookNode, folder: Path, *, timeout: int) -> NotebookNode:
    """Run every cell in order in a fresh kernel whose working directory is `folder`.

    Raises nbclient's CellExecutionError at the first cell that fails.
    """
    from nbclient import NotebookClient

    client = NotebookClient(
        nb,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
    )
    return client.execute()


# ------------------------------------------------------------------ the one clean form


def slug(cell: NotebookNode) -> str:
    """Name a cell after its grade_id, or the first words that say something."""
    if grade_id := cell.metadata.get("nbgrader", {}).get("grade_id"):
        return re.sub(r"[^A-Za-z0-9_-]+", "-", grade_id)[:50]
    for line in cell.source.lower().splitlines():
        words = re.findall(r"[a-z0-9]+", line)[:6]
        if words:
            return "-".join(words)[:50].strip("-")
    return "empty"


def name_cells(cells: list[NotebookNode]) -> None:
    """Keep ids that people chose; name the random, invalid and repeated ones."""
    taken: set[str] = set()
    for cell in cells:
        name = cell.get("id") or ""
        if name in taken or RANDOM_ID.fullmatch(name) or not VALID_ID.fullmatch(name):
            name = stem = slug(cell)
            count = 2
            while name in taken:
                name, count = f"{stem}-{count}", count + 1
        cell.id = name
        taken.add(name)


def clean_outputs(outputs: list[NotebookNode], number: int) -> list[NotebookNode]:
    """Drop stderr, widgets and output metadata; join neighbouring pieces of stdout."""
    clean: list[NotebookNode] = []
    for output in copy.deepcopy(outputs):
        if output.get("name") == "stderr" or WIDGET in output.get("data", {}):
            continue
        if "execution_count" in output:
            output.execution_count = number
        if "metadata" in output:
            output.metadata = NotebookNode()
        if output.output_type == "stream" and clean and "text" in clean[-1]:
            clean[-1].text += output.text
        else:
            clean.append(output)
    return clean


def normalize(nb: NotebookNode) -> NotebookNode:
    """Return the clean form of `nb`: the same for everyone who ran the same cells."""
    nb = copy.deepcopy(nb)
    keep_outputs = not is_homework(nb)
    nb.nbformat_minor = 5
    nb.metadata = nbformat.from_dict(METADATA)
    nb.cells = [cell for cell in nb.cells if cell.source.strip()]
    name_cells(nb.cells)
    number = 0
    for cell in nb.cells:
        kept = {k: cell.metadata[k] for k in KEPT_CELL_METADATA if k in cell.metadata}
        cell.metadata = nbformat.from_dict({k: v for k, v in kept.items() if v})
        cell.source = cell.source.strip("\n")
        if cell.cell_type != "code":
            continue
        ran = keep_outputs and cell.execution_count is not None
        number += ran
        # nbval compares only cells that have a number: keep one wherever a cell was run
        cell.execution_count = number if ran else None
        cell.outputs = clean_outputs(cell.outputs, number) if ran else []
    return nb


def write(nb: NotebookNode, path: Path) -> None:
    """Write `nb` as nbformat does: keys sorted, indent 1, one newline at the end."""
    path.write_text(nbformat.writes(nb).rstrip("\n") + "\n", encoding="utf-8")


# ------------------------------------------------------------------ what is not clean


def texts(output: NotebookNode) -> Iterator[str]:
    """Yield what a reader can read of an output: streams and text, not pictures."""
    yield output.get("text", "")
    for kind, data in output.get("data", {}).items():
        if kind.startswith("text/"):
            yield data


def cell_complaints(cell: NotebookNode, *, homework: bool) -> Iterator[str]:
    """Yield what is wrong with one cell of a notebook."""
    outputs = cell.get("outputs", [])
    for text in [cell.source, *(t for output in outputs for t in texts(output))]:
        if path := ABSOLUTE_PATH.search(text):
            yield f"shows the path {path.group()!r} of one machine"
    if cell.cell_type != "code":
        return
    if homework:
        if outputs or cell.execution_count is not None:
            yield "has outputs; a homework source is committed without"
        return
    if cell.execution_count is None:
        yield "was never run, so nbval would compare nothing"
    for output in outputs:
        if output.output_type == "error":
            yield f"ends in an error: {output.ename}: {output.evalue}"


def complaints(path: Path) -> Iterator[str]:
    """Yield everything that keeps the notebook at `path` from being clean."""
    source = path.read_text(encoding="utf-8")
    if (size := len(source.encode())) >= MAX_BYTES:
        yield f"{size:,} bytes; at most {MAX_BYTES:,} (fewer or smaller figures)"
    nb = nbformat.reads(source, as_version=4)
    homework = is_homework(nb)
    for i, cell in enumerate(nb.cells):
        for what in cell_complaints(cell, homework=homework):
            yield f"cell {i} ({cell.get('id')}) {what}"
    if not homework and not any(cell.get("outputs") for cell in nb.cells):
        yield "has no outputs at all: run `python tools/notebooks.py execute` on it"
    if source != nbformat.writes(normalize(nb)).rstrip("\n") + "\n":
        yield "is not in its normal form: run `python tools/notebooks.py normalize`"


def main(arguments: list[str] | None = None) -> int:
    """Run one verb over the notebooks named; 1 where `check` found something."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("verb", choices=["execute", "normalize", "check"])
    parser.add_argument("paths", nargs="+", help="notebooks, or folders of them")
    parser.add_argument("--timeout", type=int, default=300, help="seconds a cell")
    options = parser.parse_args(arguments)
    dirty = 0
    for path in find(options.paths):
        if options.verb == "check":
            for what in complaints(path):
                dirty += 1
                print(f"{path}: {what}")
            continue
        nb = nbformat.read(path, as_version=4)
        if options.verb == "execute":
            nb = execute(nb, path.parent, timeout=options.timeout)
        write(normalize(nb), path)
    return 1 if dirty else 0


if __name__ == "__main__":
    sys.exit(main())
