"""What a model remembers of a text: a key and a value for each token, layer and head.

    bytes a token = 2 · layers · key-value heads · channels · bytes a number

Without them each new token would be computed together with all tokens before it.

    cache.extend({7: 3})           sequence 7 gets room for 3 more tokens, in every
    layer cache.write(layer, 7, k, v)    their keys and values; back come all of the
    sequence's cache.truncate(7, length)      forget what comes after `length` tokens
    cache.free(7)                  forget the sequence

`ContiguousCache` keeps each sequence in one piece, and moves it to a piece of twice the
size when it is full. paged.py keeps blocks.

Read in order: `Shape`, `Cache`, `ContiguousCache`.  Taught in notebooks/14.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from lib.models.llama import head_dim

SMALLEST = 16  # tokens that a sequence has room for at first


class Full(RuntimeError):  # noqa: N818 (a state that a scheduler waits for to pass)
    """There is no room for these tokens; nothing has changed."""


@dataclass(frozen=True)
class Shape:
    """How large a token's keys are: layers, key-value heads, channels, and of what."""

    layers: int
    heads: int
    channels: int
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"

    @classmethod
    def of(cls, model: PreTrainedModel) -> "Shape":
        """The shape of a transformers model's keys, where the model is."""
        config, weight = model.config, model.get_input_embeddings().weight
        heads = config.num_key_value_heads
        sizes = (config.num_hidden_layers, heads, head_dim(config))
        return cls(*sizes, weight.dtype, weight.device)

    @property
    def token_bytes(self) -> int:
        """Bytes of a token's keys and values."""
        return 2 * self.layers * self.heads * self.channels * self.dtype.itemsize

    def zeros(self, *sizes: int) -> Tensor:
        """Room for keys: (layers, sizes…, heads, channels)."""
        shape = (self.layers, *sizes, self.heads, self.channels)
        return torch.zeros(shape, dtype=self.dtype, device=self.device)


@runtime_checkable
class Cache(Protocol):
    """What a pass needs of a cache. An unknown sequence is one of length 0."""

    def length(self, sequence: int) -> int:
        """How many tokens it holds of `sequence`."""

    def extend(self, counts: Mapping[int, int]) -> None:
        """Make room for so many more tokens of each sequence, of all or of none.

        Raises `Full` where there is none.
        """

    def write(
        self,
        layer: int,
        k: Float[Tensor, "tokens heads channels"],
        v: Float[Tensor, "tokens heads channels"],
    ) -> None:
        """Fill the room of the last `extend` in one layer, in its order."""

    def read(
        self, layer: int, sequences: Sequence[int]
    ) -> tuple[
        Float[Tensor, "n longest heads channels"],
        Float[Tensor, "n longest heads channels"],
        Int[Tensor, " n"],
    ]:
        """A layer's keys, values and lengths; what lies behind a length is no matter.

        It is finite: a weight of zero makes nothing of it.
        """

    def truncate(self, sequence: int, length: int) -> None:
        """Keep the first `length` tokens; ValueError for more than there are."""

    def free(self, sequence: int) -> None:
        """Forget a sequence, if there is one."""


@dataclass
class Strip:
    """One sequence's room, and how much of it is taken."""

    keys: Tensor
    values: Tensor
    length: int = 0


class ContiguousCache:
    """A `Cache` in which each sequence lies in one piece of memory."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.strips: dict[int, Strip] = {}
        self.room: dict[int, int] = {}  # tokens that the next writes bring

    def length(self, sequence: int) -> int:
        """How many tokens it holds of `sequence`."""
        strip = self.strips.get(sequence)
        return strip.length if strip else 0

    def extend(self, counts: Mapping[int, int]) -> None:
        """Make room; a sequence that outgrows its piece is copied to a larger one."""
        self.room = dict(counts)
        for sequence, count in counts.items():
            strip = self.strips.get(sequence) or self.strip(SMALLEST)
            needed = strip.length + count
            if needed > strip.keys.shape[1]:
                larger = self.strip(1 << (needed - 1).bit_length())
                larger.keys[:, : strip.length] = strip.keys[:, : strip.length]
                larger.values[:, : strip.length] = strip.values[:, : strip.length]
                strip = larger
            strip.length = needed
            self.strips[sequence] = strip

    def strip(self, capacity: int) -> Strip:
        """A piece of memory for so many tokens."""
        return Strip(self.shape.zeros(capacity), self.shape.zeros(capacity))

    def write(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Fill the room of the last `extend` in one layer, in its order."""
        parts = k.split(list(self.room.values())), v.split(list(self.room.values()))
        for sequence, new_keys, new_values in zip(self.room, *parts, strict=True):
            strip = self.strips[sequence]
            room = slice(strip.length - len(new_keys), strip.length)
            strip.keys[layer, room], strip.values[layer, room] = new_keys, new_values

    def read(
        self, layer: int, sequences: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A layer's keys, values and lengths, padded with zeros to the longest."""
        strips = [self.strips[sequence] for sequence in sequences]
        keys = [strip.keys[layer, : strip.length] for strip in strips]
        values = [strip.values[layer, : strip.length] for strip in strips]
        lengths = torch.tensor([s.length for s in strips], device=self.shape.device)
        if len(strips) == 1:
            return keys[0][None], values[0][None], lengths
        together = partial(pad_sequence, batch_first=True)
        return together(keys), together(values), lengths

    def truncate(self, sequence: int, length: int) -> None:
        """Keep the first `length` tokens; ValueError for more than there are."""
        known = self.length(sequence)
        if not 0 <= length <= known:
            raise ValueError(f"length={length} of a sequence of {known} tokens")
        if length == 0:
            self.free(sequence)
        else:
            self.strips[sequence].length = length

    def free(self, sequence: int) -> None:
        """Forget a sequence, if there is one."""
        self.strips.pop(sequence, None)
