"""A cache in blocks of 16 tokens: no sequence has to lie in one piece, and any may
share.

    token t of a sequence lies in block table[t // 16], at place t mod 16

A sequence that ends at any length wastes less than a block, where reserved room wastes
what is never written. Sequences that begin alike share blocks: a full block is known by
a hash of its own tokens and of the hash before it, so by all of the text up to its end.
Who wants to write into a block that others read gets a copy first.

A block is offered to others from the pass after the one that filled it: until then its
keys are not written, or may be a draft's that is still to be rejected. Blocks that
nobody uses keep their contents, and can be found again, until room is needed.

`PagedCache` says which block; `Blocks` holds the numbers, as they come. kivi.py has
blocks that hold them in a few bits once they are offered.

Read in order: `PagedCache.extend`, `write`, `truncate`; `begin`, `fork`, `offer`;
`Blocks`.  Taught in notebooks/14.
Source: Kwon et al. 2023, "PagedAttention", arXiv:2309.06180.
"""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lib.decode.cache import Full, Shape

BLOCK = 16  # tokens

Prefix = bytes  # the hash of a text whose last block is full


@dataclass
class Table:
    """A sequence's blocks, in its order; its length; what it is known to say."""

    blocks: list[int] = field(default_factory=list)
    length: int = 0
    tokens: list[int] = field(default_factory=list)  # as far as it was told
    prefixes: list[Prefix] = field(default_factory=list)  # of blocks that were offered
    index: Tensor | None = None  # the blocks, where the keys are


class Blocks:
    """The keys and values of `count` blocks, as they come: (layers, count, 16, …)."""

    def __init__(self, shape: Shape, count: int) -> None:
        self.shape = shape
        self.keys, self.values = shape.zeros(count, BLOCK), shape.zeros(count, BLOCK)

    @property
    def nbytes(self) -> int:
        """Bytes that they take."""
        return self.keys.nbytes + self.values.nbytes

    def write(self, layer: int, slots: Tensor, k: Tensor, v: Tensor) -> None:
        """Put each token into its slot, 16 · block + place."""
        self.keys[layer].flatten(0, 1)[slots] = k
        self.values[layer].flatten(0, 1)[slots] = v

    def read(self, layer: int, index: Tensor) -> tuple[Tensor, Tensor]:
        """The keys and values of these blocks: (*index, 16, heads, channels)."""
        return self.keys[layer][index], self.values[layer][index]

    def open(self, block: int) -> None:
        """It is to be written; what it holds is no matter."""

    def reopen(self, block: int) -> None:
        """It is to be written, behind what it holds."""

    def copy(self, block: int, to: int) -> None:
        """Let the open block `to` hold what `block` holds."""
        self.keys[:, to], self.values[:, to] = (
            self.keys[:, block],
            self.values[:, block],
        )

    def seal(self, blocks: Sequence[int]) -> None:
        """They are full, and only read from now on."""

    def drop(self, block: int) -> None:
        """Nobody will read what it holds."""


class PagedCache:
    """A `Cache` of `count` blocks, which `blocks` allocates. ValueError for none."""

    def __init__(
        self,
        shape: Shape,
        count: int,
        blocks: Callable[[Shape, int], Blocks] = Blocks,
    ) -> None:
        if count < 1:
            raise ValueError(f"a cache of {count} blocks")
        self.shape, self.count = shape, count
        self.blocks = blocks(shape, count)
        self.tables: dict[int, Table] = {}
        self.room = torch.empty(0, dtype=torch.int64)  # slots that the next writes fill
        self.readers = Counter[int]()  # of each block
        self.unused = OrderedDict.fromkeys(range(count))  # the longest unused first
        self.found: dict[Prefix, int] = {}  # full blocks, by what they say
        self.says: dict[int, Prefix] = {}  # and the other way round

    @property
    def capacity(self) -> int:
        """How many tokens one sequence can have."""
        return self.count * BLOCK

    def length(self, sequence: int) -> int:
        """How many tokens it holds of `sequence`."""
        table = self.tables.get(sequence)
        return table.length if table else 0

    # -------------------------------------------------------------- room

    def extend(self, counts: Mapping[int, int]) -> None:
        """Make room for so many more tokens of each sequence, of all or of none.

        Raises `Full` where too few blocks are unused.
        """
        known = {sequence: self.tables.get(sequence, Table()) for sequence in counts}
        needed = sum(self.wanted(known[s], count) for s, count in counts.items())
        if needed > len(self.unused):
            raise Full(f"{needed} blocks are needed, and {len(self.unused)} are unused")
        rooms = []
        for sequence, count in counts.items():
            table = self.tables[sequence] = known[sequence]
            self.offer(table)
            if table.length % BLOCK and count:
                self.make_own(table)
            table.length += count
            while len(table.blocks) * BLOCK < table.length:
                table.blocks.append(self.take())
            table.index = torch.tensor(table.blocks)
            places = torch.arange(table.length - count, table.length)
            rooms.append(table.index[places // BLOCK] * BLOCK + places % BLOCK)
            table.index = table.index.to(self.shape.device)
        self.room = torch.cat(rooms).to(self.shape.device)

    def wanted(self, table: Table, count: int) -> int:
        """How many blocks `count` more tokens take; a shared last block is copied."""
        more = -(-(table.length + count) // BLOCK) - len(table.blocks)
        inside = count and table.length % BLOCK
        return more + bool(inside and self.readers[table.blocks[-1]] > 1)

    def make_own(self, table: Table) -> None:
        """Make the last block one that nobody else reads, and nobody finds."""
        last = table.blocks[-1]
        if self.readers[last] == 1:
            self.forget(last)
            self.blocks.reopen(last)
            return
        own = table.blocks[-1] = self.take()
        self.blocks.copy(last, own)
        self.release(last)

    def take(self) -> int:
        """An unused block, for one reader; what it said is forgotten."""
        block, _ = self.unused.popitem(last=False)
        self.forget(block)
        self.blocks.open(block)
        self.readers[block] = 1
        return block

    def release(self, block: int) -> None:
        """One reader less; without any it is unused, and keeps what it says."""
        self.readers[block] -= 1
        if not self.readers[block]:
            del self.readers[block]
            self.unused[block] = None
            if block not in self.says:
                self.blocks.drop(block)

    def truncate(self, sequence: int, length: int) -> None:
        """Keep the first `length` tokens; ValueError for more than there are."""
        known = self.length(sequence)
        if not 0 <= length <= known:
            raise ValueError(f"length={length} of a sequence of {known} tokens")
        if not known:
            return
        table = self.tables[sequence]
        while len(table.blocks) * BLOCK >= length + BLOCK:
            self.release(table.blocks.pop())
        table.length = length
        del table.tokens[length:]
        del table.prefixes[length // BLOCK :]
        if not length:
            del self.tables[sequence]

    def free(self, sequence: int) -> None:
        """Forget a sequence, if there is one; its blocks can be found until reused."""
        if table := self.tables.get(sequence):
            self.offer(table)
            self.truncate(sequence, 0)

    # -------------------------------------------------------------- keys and values

    def write(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Fill the room of the last `extend` in one layer, in its order."""
        self.blocks.write(layer, self.room, k, v)

    def read(
        self, layer: int, sequences: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A layer's keys, values and lengths, gathered block by block."""
        tables = [self.tables[sequence] for sequence in sequences]
        index = pad_sequence([table.index for table in tables], batch_first=True)
        keys, values = (x.flatten(1, 2) for x in self.blocks.read(layer, index))
        lengths = torch.tensor([table.length for table in tables], device=keys.device)
        longest = max(table.length for table in tables)
        return keys[:, :longest], values[:, :longest], lengths

    # -------------------------------------------------------------- sharing

    def begin(self, sequence: int, tokens: Sequence[int]) -> int:
        """Start a sequence with what is known of `tokens`; how many of them that is.

        At least the last token is left to be computed, for its logits are wanted.
        ValueError where the sequence exists.
        """
        if sequence in self.tables:
            raise ValueError(f"sequence {sequence} has begun")
        table = Table(tokens=list(tokens))
        for prefix in prefixes(tokens[: len(tokens) - 1]):
            block = self.found.get(prefix)
            if block is None:
                break
            self.readers[block] += 1
            self.unused.pop(block, None)
            table.blocks.append(block)
            table.prefixes.append(prefix)
        table.length = len(table.blocks) * BLOCK
        if table.blocks:
            self.tables[sequence] = table
        return table.length

    def tell(self, sequence: int, tokens: Sequence[int]) -> None:
        """Say what a sequence says, from its beginning, so that others can share it."""
        if table := self.tables.get(sequence):
            table.tokens = list(tokens)

    def fork(self, sequence: int, other: int) -> None:
        """Let `other` go on from all that `sequence` has, sharing every block.

        ValueError where `sequence` is unknown or `other` exists.
        """
        if sequence not in self.tables or other in self.tables:
            raise ValueError(f"sequence {sequence} must exist, and {other} must not")
        table = self.tables[sequence]
        self.readers.update(table.blocks)
        copied = replace(
            table,
            blocks=list(table.blocks),
            tokens=list(table.tokens),
            prefixes=list(table.prefixes),
        )
        self.tables[other] = copied

    def offer(self, table: Table) -> None:
        """Seal the full blocks whose tokens are known, and let others find them."""
        known = len(table.prefixes)
        full = min(table.length, len(table.tokens)) // BLOCK
        before = table.prefixes[-1] if known else b""
        fresh = prefixes(table.tokens[known * BLOCK : full * BLOCK], before)
        self.blocks.seal(table.blocks[known:full])
        for block, prefix in zip(table.blocks[known:full], fresh, strict=True):
            table.prefixes.append(prefix)
            if prefix not in self.found:  # else another block says the same
                self.found[prefix], self.says[block] = block, prefix

    def forget(self, block: int) -> None:
        """Let nobody find a block any more: it is to be written."""
        if prefix := self.says.pop(block, None):
            del self.found[prefix]


def prefixes(tokens: Sequence[int], before: Prefix = b"") -> Iterator[Prefix]:
    """The hash of the text up to the end of each full block, going on from `before`."""
    for end in range(BLOCK, len(tokens) + 1, BLOCK):
        said = ",".join(map(str, tokens[end - BLOCK : end]))
        before = hashlib.sha256(before + said.encode()).digest()
        yield before
