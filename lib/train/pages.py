"""Pages: an array larger than the memory it is used in, a part of it at a time.

    touch(p):  p is in the fast memory      → it becomes the most recently used
               it is not, and there is room → a copy of it comes in
               it is not, and there is none → the least recently used goes out first

Every page has its home in the slow memory: a file on disk when the fast memory is a
CPU's, pinned host memory when it is a GPU's. Memory that something else needs for a
while is taken from the pages by `yielding`: as many go home as have to.

Guarantees: no more than `capacity` bytes of pages are in the fast memory at any time,
less what is yielded; what is read from a page is what was written to it last. A loop
over more pages than fit misses *every* time under this rule (each page goes just before
its turn comes); a sweep to and fro misses only for the pages that do not fit.
Read in order: `Pages.touch`, `Pages.yielding`. Taught in notebooks/10.
Sources: Dettmers et al. 2023, arXiv:2305.14314, section 3, "Paged Optimizers", where
CUDA's unified memory does it; least recently used: Mattson et al. 1970, "Evaluation
techniques for storage hierarchies".
"""

import os
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Move:
    """A page that came into the fast memory ("in") or went home ("out"), and when."""

    clock: int  # touches before it
    page: int
    way: str


class Pages:
    """`count` pages of `numbers` float32 each, zero at first.

    `capacity` is what the fast memory of `device` grants them, in bytes; ValueError for
    less than a page, and for pages of nothing. On a CPU the home is a file without a
    name in `folder` (or the system's folder for such files), and vanishes with the
    object. `moves` tells all that moved.
    """

    def __init__(
        self,
        count: int,
        numbers: int,
        *,
        capacity: int,
        device: torch.device | str = "cpu",
        folder: Path | None = None,
    ) -> None:
        self.count, self.numbers, self.bytes = count, numbers, 4 * numbers
        if count < 1 or numbers < 1:
            raise ValueError(f"{count} pages of {numbers} numbers hold nothing")
        if capacity < self.bytes:
            raise ValueError(f"capacity={capacity} is less than a page, {self.bytes}")
        self.capacity, self.device = capacity, torch.device(device)
        self.home = _home(count, numbers, self.device, folder)
        self.here: OrderedDict[int, Tensor] = OrderedDict()  # least recent first
        self.moves: list[Move] = []
        self.clock = self.yielded = 0

    def touch(self, page: int) -> Float[Tensor, " numbers"]:
        """The page in the fast memory, to read and write until the next `touch`.

        ValueError for a page that is not there, and where all memory is yielded.
        """
        if not 0 <= page < self.count:
            raise ValueError(f"page {page} is not among the {self.count}")
        if page not in self.here:
            self._make_room(self.bytes)
            self.here[page] = self.home[page].to(self.device, copy=True)
            self.moves.append(Move(self.clock, page, "in"))
        self.here.move_to_end(page)
        self.clock += 1
        return self.here[page]

    @contextmanager
    def yielding(self, bytes: int) -> Iterator[None]:
        """Leave `bytes` of the capacity to something else for a `with` block.

        ValueError for more than there is, or less than nothing.
        """
        if not 0 <= bytes <= self.capacity - self.yielded:
            raise ValueError(
                f"{bytes} bytes are asked for; of {self.capacity}, {self.yielded} are "
                "yielded already"
            )
        self.yielded += bytes
        try:
            self._make_room(0)
            yield
        finally:
            self.yielded -= bytes

    def peek(self, page: int) -> Float[Tensor, " numbers"]:
        """A copy of the page on the CPU, wherever it is; nothing moves."""
        return self.here.get(page, self.home[page]).to("cpu", copy=True)

    @property
    def resident(self) -> int:
        """Bytes of pages in the fast memory."""
        return len(self.here) * self.bytes

    def moved(self, way: str) -> int:
        """Bytes that came "in" or went "out" so far."""
        return self.bytes * sum(move.way == way for move in self.moves)

    def _make_room(self, bytes: int) -> None:
        """Send the least recently used home until `bytes` more fit."""
        room = self.capacity - self.yielded
        if bytes > room:
            raise ValueError(
                f"a page of {bytes} bytes does not fit: {self.yielded} of "
                f"{self.capacity} are yielded"
            )
        while self.resident + bytes > room:
            page, tensor = self.here.popitem(last=False)
            self.home[page].copy_(tensor)
            self.moves.append(Move(self.clock, page, "out"))


def _home(
    count: int, numbers: int, device: torch.device, folder: Path | None
) -> Float[Tensor, "count numbers"]:
    """Zeros in the slow memory: mapped from a file for a CPU, pinned for a GPU."""
    if device.type != "cpu":
        return torch.zeros(count, numbers, pin_memory=True)
    number, path = tempfile.mkstemp(prefix="pages-", dir=folder)
    try:
        os.ftruncate(number, 4 * count * numbers)  # zeros that take no disk yet
        flat = torch.from_file(path, shared=True, size=count * numbers)
    finally:
        os.close(number)
        os.unlink(path)  # the mapping keeps the file alive, and nothing else does
    return flat.view(count, numbers)
