"""A progress bar for what lasts: silent for three seconds, and gone when it is done.

It writes to stderr, so that a notebook's stored outputs and its comparisons stay clean.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
PATIENCE_S = 3.0  # seconds before a bar is worth anybody's attention


def progress(
    iterable: Iterable[T], label: str, *, total: int | None = None
) -> Iterator[T]:
    """Yield what `iterable` yields, under a bar once `PATIENCE_S` seconds have passed.

    `total` is the number of items, for iterables that have no length.
    """
    bar = tqdm(
        iterable, label, total=total, delay=PATIENCE_S, leave=False, file=sys.stderr
    )
    with bar:
        yield from bar
