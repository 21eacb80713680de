"""How the kernels want 4-bit codes: four planes a word, chunks before rows.

    word[c, n, i] = Σ_j code[n, column(4c + j, i)] · 16^j          (chunks, rows, L)

Plane p holds L columns of one group. A chunk is four planes; a word of 16 bits holds
the i-th code of each of its planes. So one shift and one mask extract the codes of L
neighbouring columns at once, in the order in which the activations lie in memory, and
no code has to move between threads. Within a chunk the rows are contiguous: a program
reads its rows in long loads, whichever row it begins with.

    column(p, i) = G ⌊p / P⌋ + L (p mod P) + i,    P = ⌈G / L⌉ planes to a group of G

Levels that are looked up, two at a time, want pairs instead: the same words, with two
neighbours' codes in a byte and the four planes' bytes side by side.

    byte[c, n, i, j] = code[n, column(4c + j, 2i)] + code[n, column(4c + j, 2i + 1)] 16

A group that L does not divide is padded to P L columns, and the planes to a multiple of
four, with codes that meet no activation. L is 64 where it divides G, unless 32 pads
less: 576 columns in groups of 64 fill nine of twelve planes of 64, or 18 of 20 of 32.

The constants of a chunk's groups (a scale, or a scale and a zero point) lie side by
side, filled up to four bytes: the least that the hardware copies in the background.

Read in order: `Planes`, `Layout`; `pack_planes`, `pack_pairs`, `pack_constants`, each
with its way back.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from math import gcd
from typing import NamedTuple

import torch
from jaxtyping import Int, Int16, Integer, Shaped, UInt8
from torch import Tensor

PLANES_PER_WORD = 4  # and so planes of a chunk
CODE_BITS = 4


class Layout(NamedTuple):
    """What a kernel has to know of `Planes` when it is compiled: one constexpr."""

    G: int  # columns of a group
    P: int  # planes of a group
    L: int  # columns of a plane
    Q: int  # constants of a chunk


@dataclass(frozen=True)
class Planes:
    """Where each column of a matrix of `cols` columns in groups of `group` lies.

    ValueError where the groups do not divide the columns.
    """

    cols: int
    group: int

    def __post_init__(self):
        if self.group < 1 or self.cols < 1 or self.cols % self.group:
            raise ValueError(
                f"group={self.group} does not divide the {self.cols} columns"
            )

    @cached_property
    def groups(self) -> int:
        """Groups in a row."""
        return self.cols // self.group

    @cached_property
    def length(self) -> int:
        """L, the columns of a plane."""
        left = self.cols // 64 % PLANES_PER_WORD  # planes of 64 beyond whole chunks
        return 64 if self.group % 64 == 0 and left in (0, 3) else 32

    @cached_property
    def per_group(self) -> int:
        """P, the planes of a group."""
        return -(-self.group // self.length)

    @cached_property
    def chunks(self) -> int:
        """Chunks of four planes in a row, the last one perhaps padded."""
        return -(-self.groups * self.per_group // PLANES_PER_WORD)

    @cached_property
    def constants_per_chunk(self) -> int:
        """1, 2 or 4: one constant for all planes of the chunk that share a group."""
        return PLANES_PER_WORD // gcd(PLANES_PER_WORD, self.per_group)

    @cached_property
    def seamless(self) -> bool:
        """No column is padding: plane p begins at column L p, to the last plane."""
        return PLANES_PER_WORD * self.chunks * self.length == self.cols

    @cached_property
    def layout(self) -> Layout:
        """What the kernels have to know of it when they are compiled."""
        return Layout(self.group, self.per_group, self.length, self.constants_per_chunk)

    def columns(self) -> Int[Tensor, "planes length"]:
        """column(p, i) of every plane p and index i in it; -1 where it is padding."""
        plane = torch.arange(PLANES_PER_WORD * self.chunks)[:, None]
        index = torch.arange(self.length)[None]
        within = plane % self.per_group * self.length + index
        group = plane // self.per_group
        mask = (within < self.group) & (group < self.groups)
        return torch.where(mask, group * self.group + within, -1)


@cache
def planes_of(cols: int, group: int) -> Planes:
    """The same `Planes` for the same matrix, so that a call computes nothing anew.

    ValueError where the groups do not divide the columns.
    """
    return Planes(cols, group)


def _cut_into_planes(
    codes: UInt8[Tensor, "rows cols"], planes: Planes
) -> UInt8[Tensor, "chunks rows four length"]:
    """The codes plane by plane, 0 where a plane is padding."""
    if codes.numel() and codes.max() >= 1 << CODE_BITS:
        raise ValueError(f"code {codes.max().item()} does not fit {CODE_BITS} bits")
    if planes.chunks * planes.length * len(codes) >= 2**31:
        raise ValueError(f"{tuple(codes.shape)} codes are too many for 32-bit offsets")
    padded = torch.nn.functional.pad(codes, (0, 1))  # column -1: what no x meets
    cut = padded[:, planes.columns().to(codes.device)]  # (rows, planes, L)
    return cut.unflatten(1, (planes.chunks, PLANES_PER_WORD)).transpose(0, 1)


def _joined_from_planes(
    cut: Integer[Tensor, "chunks rows four length"], planes: Planes
) -> UInt8[Tensor, "rows cols"]:
    """The codes that `_cut_into_planes` took."""
    cut = cut.transpose(0, 1).flatten(1).to(torch.uint8)
    columns = planes.columns().to(cut.device).flatten()
    codes = cut.new_empty(len(cut), planes.cols)
    codes[:, columns[columns >= 0]] = cut[:, columns >= 0]
    return codes


def _shifts(device: torch.device) -> Int[Tensor, "four 1"]:
    """By how many bits a word is shifted for each of its planes."""
    return CODE_BITS * torch.arange(PLANES_PER_WORD, device=device)[:, None]


def pack_planes(
    codes: UInt8[Tensor, "rows cols"], planes: Planes
) -> Int16[Tensor, "chunks rows length"]:
    """The words of codes.

    ValueError for a code above 15, and for so many codes that offsets exceed 32 bits.
    """
    cut = _cut_into_planes(codes, planes).to(torch.int32)
    words = (cut << _shifts(codes.device)).sum(2)  # 0 … 65535
    return words.to(torch.int16).contiguous()


def unpack_planes(
    words: Int16[Tensor, "chunks rows length"], planes: Planes
) -> UInt8[Tensor, "rows cols"]:
    """The codes that `pack_planes` took."""
    cut = words[:, :, None] >> _shifts(words.device) & 15
    return _joined_from_planes(cut, planes)


def pack_pairs(
    codes: UInt8[Tensor, "rows cols"], planes: Planes
) -> Int16[Tensor, "chunks rows length"]:
    """The bytes of codes, two a word; ValueError as in `pack_planes`."""
    low, high = _cut_into_planes(codes, planes).unflatten(3, (-1, 2)).unbind(-1)
    pairs = (high << CODE_BITS | low).transpose(2, 3).contiguous()
    return pairs.flatten(2).view(torch.int16)


def unpack_pairs(
    words: Int16[Tensor, "chunks rows length"], planes: Planes
) -> UInt8[Tensor, "rows cols"]:
    """The codes that `pack_pairs` took."""
    pairs = words.view(torch.uint8).unflatten(2, (-1, PLANES_PER_WORD)).transpose(2, 3)
    cut = torch.stack([pairs & 15, pairs >> CODE_BITS], -1).flatten(3)
    return _joined_from_planes(cut, planes)


def pack_constants(
    constants: Shaped[Tensor, "groups rows"], planes: Planes
) -> Shaped[Tensor, "chunks rows constants"]:
    """Each chunk's constants, in the order of its planes; then zeros, up to 4 bytes."""
    count = planes.constants_per_chunk
    apart = PLANES_PER_WORD // count  # planes from one constant to the next
    plane = torch.arange(0, PLANES_PER_WORD * planes.chunks, apart)
    group = (plane // planes.per_group).clamp(max=planes.groups - 1)
    sides = constants[group.to(constants.device)].unflatten(0, (planes.chunks, -1))
    spare = -count % (4 // constants.itemsize)
    return torch.nn.functional.pad(sides.transpose(1, 2), (0, spare)).contiguous()


def unpack_constants(
    packed: Shaped[Tensor, "chunks rows constants"], planes: Planes
) -> Shaped[Tensor, "groups rows"]:
    """The constants that `pack_constants` took."""
    plane = planes.per_group * torch.arange(planes.groups, device=packed.device)
    chunk, within = plane // PLANES_PER_WORD, plane % PLANES_PER_WORD
    return packed[chunk, :, within * planes.constants_per_chunk // PLANES_PER_WORD]
