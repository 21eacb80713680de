"""Keys and values in a few bits: a block of the cache is quantized when it is full.

    k̂_tc = s_c (q_tc − z_c)     a grid for each channel, over the block's 16 tokens
    v̂_tc = s_t (q_tc − z_t)     a grid for each token, over its head's channels

    |k̂ − k| <= (1/2 + (2^b − 1) / 2^11) s        s is rounded to fp16 before the codes
    bits a number = b + (16 + b) / 16 of a key,  b + (16 + b) / channels of a value

A key has channels that are large in every token, so that a grid for a channel is even
and one for a token is wasted on those few; values have none. And a sum over tokens, as
attention is, weighs a token's value as a whole: its error stays its own.

A block is *sealed* when it is offered to others, so it is full and written for good.
Until then it is *open*, in full precision: the youngest tokens of each text, and a
prompt while it is read. Who writes into a sealed block (a text that was cut, or goes on
from a fork) opens it again, with what is left of its numbers. Which block is whose is
paged.py's, and the same for both.

A text's tokens may now depend on what it could share, or was preempted for: who reads
a prompt himself sees it in full precision, and who finds it sealed does not.

Read in order: `KIVI`, `Packed`, `SealedBlocks`; `CachedModel`, for a perplexity.
Taught in notebooks/14.
Source: Liu et al. 2024, "KIVI", arXiv:2402.02750, section 3; its groups are of 32.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import PreTrainedModel

from lib.decode.cache import Shape
from lib.decode.llama import Llama, Span
from lib.decode.paged import BLOCK, Blocks, PagedCache
from lib.quant.uniform.grid import Grid, dequantize
from lib.quant.uniform.grouped import round_to_nearest
from lib.quant.uniform.packing import pack, unpack

LARGEST = 65504.0  # of fp16, which holds the scales
ALONG = ("channel", "token")


@dataclass(frozen=True)
class KIVI:
    """`bits` a code, 2 to 8; along what a grid's numbers lie, for keys and for values.

    `PagedCache(shape, count, KIVI(bits=4).blocks)` is a cache of such blocks.
    """

    bits: int = 4
    keys: str = "channel"
    values: str = "token"

    def __post_init__(self) -> None:
        """Refuse what has no grid."""
        if self.bits not in range(2, 9):
            raise ValueError(f"bits={self.bits} is not in 2 to 8")
        if not {self.keys, self.values} <= set(ALONG):
            raise ValueError(f"keys={self.keys!r}, values={self.values!r}: not {ALONG}")

    def blocks(self, shape: Shape, count: int) -> "SealedBlocks":
        """Room for `count` blocks."""
        return SealedBlocks(shape, count, self)


class Packed:
    """Keys or values of sealed blocks: codes, an fp16 scale and a zero a group.

    All three are (layers, blocks, …), and codes and zeros are packed to `bits` each.
    """

    def __init__(self, shape: Shape, count: int, bits: int, along: str) -> None:
        self.shape, self.bits, self.along = shape, bits, along
        self.numbers = BLOCK * shape.heads * shape.channels
        self.group = BLOCK if along == "channel" else shape.channels
        self.groups = self.numbers // self.group
        self.spare = -self.groups % 8  # zeros, so that a block's fill whole bytes
        room = torch.zeros(shape.layers, count, 1, device=shape.device)
        self.codes = room.byte().repeat(1, 1, self.numbers * bits // 8)
        self.zeros = room.byte().repeat(1, 1, (self.groups + self.spare) * bits // 8)
        self.scales = room.half().add(1).repeat(1, 1, self.groups)

    @property
    def nbytes(self) -> int:
        """Bytes that they take."""
        return self.codes.nbytes + self.zeros.nbytes + self.scales.nbytes

    def store(
        self, blocks: Int[Tensor, " n"], x: Float[Tensor, "layers n 16 heads channels"]
    ) -> None:
        """Round each group of these blocks to its own grid."""
        runs = x.movedim(2, -1) if self.along == "channel" else x
        rounded = round_to_nearest(
            runs.reshape(-1, self.group), bits=self.bits, group=self.group
        )
        each = (self.shape.layers, len(blocks), -1)
        zero = pad(rounded.grid.zero.view(*each), (0, self.spare))
        self.codes[:, blocks] = pack(rounded.codes, self.bits).view(*each)
        self.zeros[:, blocks] = pack(zero, self.bits).view(*each)
        self.scales[:, blocks] = rounded.grid.scale.half().view(*each)

    def load(
        self, layer: int | slice, blocks: Int[Tensor, " n"]
    ) -> Float[Tensor, "... n 16 heads channels"]:
        """ŵ of these blocks in one layer, or in all: (layers, n, …)."""
        packed, zeros = self.codes[layer, blocks], self.zeros[layer, blocks]
        scales = self.scales[layer, blocks].float()
        *each, _ = scales.shape
        padded = self.groups + self.spare
        count = packed[..., 0].numel()
        codes = unpack(packed.flatten(), self.bits, count * self.numbers)
        zero = unpack(zeros.flatten(), self.bits, count * padded)
        zero = zero.view(count, padded)[:, : self.groups].reshape(-1, 1).int()
        grid = Grid(scales.reshape(-1, 1), zero, 0, 2**self.bits - 1)
        x = dequantize(codes.view(-1, self.group), grid).to(self.shape.dtype)
        heads, channels = self.shape.heads, self.shape.channels
        if self.along == "channel":
            return x.view(*each, heads, channels, BLOCK).movedim(-1, -3)
        return x.view(*each, BLOCK, heads, channels)


class SealedBlocks(Blocks):
    """Blocks of which the full ones are quantized; open ones have slots of their own.

    Slots are made as they are needed: one for each text that goes on, and those of the
    prompts that are being read. ValueError for a key or value that is not finite, or
    larger than fp16's largest number.
    """

    def __init__(self, shape: Shape, count: int, settings: KIVI) -> None:
        self.shape, self.settings = shape, settings
        self.keys, self.values = shape.zeros(0, BLOCK), shape.zeros(0, BLOCK)  # slots
        self.packed = (
            Packed(shape, count, settings.bits, settings.keys),
            Packed(shape, count, settings.bits, settings.values),
        )
        self.slot = torch.full((count,), -1, device=shape.device)  # of open blocks
        self.spare: list[int] = []  # slots that nobody has

    @property
    def nbytes(self) -> int:
        """Bytes of all codes with their grids, and of the slots."""
        return sum(side.nbytes for side in self.packed) + super().nbytes

    @property
    def token_bits(self) -> float:
        """Bits of a sealed token, with its share of the scales and zeros."""
        stored = sum(side.nbytes for side in self.packed)
        return 8 * stored / (len(self.slot) * BLOCK)

    def write(self, layer: int, slots: Tensor, k: Tensor, v: Tensor) -> None:
        """Put each token into its slot of an open block."""
        for what, x in (("key", k), ("value", v)):
            if not (fine := x.abs() <= LARGEST).all():
                raise ValueError(f"a {what} of {x[~fine][0].item()} is beyond fp16")
        super().write(layer, self.slot[slots // BLOCK] * BLOCK + slots % BLOCK, k, v)

    def read(self, layer: int, index: Tensor) -> tuple[Tensor, Tensor]:
        """Open blocks as they are, sealed ones dequantized."""
        slot = self.slot[index]
        sealed = slot < 0
        found = []
        for x, side in zip((self.keys, self.values), self.packed, strict=True):
            out = x.new_empty(*index.shape, *x.shape[2:])
            out[~sealed] = x[layer, slot[~sealed]]
            out[sealed] = side.load(layer, index[sealed])
            found.append(out)
        return found[0], found[1]

    def open(self, block: int) -> None:
        """Give it a slot, if it has none."""
        if self.slot[block] >= 0:
            return
        if not self.spare:
            held = self.keys.shape[1]
            more = self.shape.zeros(max(held, 1), BLOCK)
            self.keys = torch.cat((self.keys, more), 1)
            self.values = torch.cat((self.values, more), 1)
            self.spare = list(range(held, self.keys.shape[1]))
        self.slot[block] = self.spare.pop()

    def reopen(self, block: int) -> None:
        """Give it a slot, with what is left of its numbers."""
        if self.slot[block] < 0:
            self.copy(block, block)

    def copy(self, block: int, to: int) -> None:
        """Let `to` hold what `block` holds, sealed or open."""
        at = self.slot[block]
        sides = zip((self.keys, self.values), self.packed, strict=True)
        whole = [
            x[:, at] if at >= 0 else side.load(slice(None), torch.tensor([block]))[:, 0]
            for x, side in sides
        ]
        self.open(to)
        self.keys[:, self.slot[to]], self.values[:, self.slot[to]] = whole

    def seal(self, blocks: Sequence[int]) -> None:
        """Quantize those that are open, and take their slots back."""
        which = torch.tensor([block for block in blocks if self.slot[block] >= 0])
        if not len(which):
            return
        for x, side in zip((self.keys, self.values), self.packed, strict=True):
            side.store(which, x[:, self.slot[which]])
        for block in which.tolist():
            self.drop(block)

    def drop(self, block: int) -> None:
        """Take its slot back, if it has one."""
        if self.slot[block] >= 0:
            self.spare.append(int(self.slot[block]))
            self.slot[block] = -1


class CachedModel(nn.Module):
    """A model whose logits come from reading windows through a cache, 16 at a time.

    Each token sees its own block as it is, and all blocks before as the cache keeps
    them: what it would see if the text were written token by token. For
    `lib.models.evaluate`. `cache` makes an empty cache of so many blocks.
    """

    def __init__(
        self, model: PreTrainedModel, cache: Callable[[Shape, int], PagedCache]
    ) -> None:
        super().__init__()
        self.model, self.llama, self.cache = model, Llama(model), cache

    def get_input_embeddings(self) -> nn.Module:
        """The model's own."""
        return self.model.get_input_embeddings()

    def forward(
        self, input_ids: Int[Tensor, "n window"], *, use_cache: bool = False
    ) -> SimpleNamespace:
        """`logits`, (n, window, vocabulary)."""
        n, window = input_ids.shape
        cache = self.cache(Shape.of(self.model), n * -(-window // BLOCK))
        pieces = []
        for piece in input_ids.split(BLOCK, dim=1):
            rows = [tuple(row) for row in piece.tolist()]
            spans = [Span(i, row, len(row)) for i, row in enumerate(rows)]
            pieces.append(self.llama(spans, cache).unflatten(0, (n, -1)))
            for i, text in enumerate(input_ids.tolist()):
                cache.tell(i, text)
        return SimpleNamespace(logits=torch.cat(pieces, 1))
