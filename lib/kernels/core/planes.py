"""How the kernels want 4-bit codes: four planes a word, chunks before rows.

    word[c, n, i] = Σ_j code[n, column(4c + j, i)] · 16^j          (chunks, rows, L)

Plane p holds L columns of one group; a word of 16 bits holds the same place i of four
planes. One mask and one shift then free the codes of L neighbours at once, in the order
in which the activations lie in memory, and no code has to move between threads. A
block of rows is contiguous for each chunk: long loads, whichever row comes first.

    column(p, i) = G ⌊p / P⌋ + L (p mod P) + i,    P = ⌈G / L⌉ planes to a group of G

Levels that are looked up, two at a time, want pairs instead: the same words, with two
neighbours' codes in a byte and the four planes' bytes side by side.

    byte[c, n, i, j] = code[n, column(4c + j, 2i)] + code[n, column(4c + j, 2i + 1)] 16

A group that L does not divide is padded to P L columns, and the planes to a multiple of
four, with codes that meet no activation. L is 64 where it divides G, unless 32 pads
less: 576 columns in groups of 64 fill nine of twelve planes of 64, or 18 of 20 of 32.

The constants of a chunk's groups lie side by side, filled up to four bytes: the least
that the hardware copies in the background.

Read in order: `Planes`; `pack_planes`, `pack_pairs`, `pack_constants`, each with its
way back.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from math import gcd

import torch
from jaxtyping import Int, Int16, Integer, Shaped, UInt8
from torch import Tensor

FOUR = 4  # codes in a word of 16 bits, bits in a code


@dataclass(frozen=True)
class Planes:
    """Where each column of a matrix of `cols` columns in groups of `group` lies."""

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
        left = self.cols // 64 % FOUR  # planes of 64 that no whole chunk holds
        return 64 if self.group % 64 == 0 and left in (0, 3) else 32

    @cached_property
    def per_group(self) -> int:
        """P, the planes of a group."""
        return -(-self.group // self.length)

    @cached_property
    def chunks(self) -> int:
        """Words that hold one place of every plane."""
        return -(-self.groups * self.per_group // FOUR)

    @cached_property
    def places(self) -> int:
        """Constants of a chunk, 1, 2 or 4: one for all planes that share a group."""
        return FOUR // gcd(FOUR, self.per_group)

    @cached_property
    def seamless(self) -> bool:
        """No column is padding: plane p begins at column L p, to the last plane."""
        return FOUR * self.chunks * self.length == self.cols

    @cached_property
    def layout(self) -> dict[str, int]:
        """What the kernels want to know of it when they are compiled."""
        return {
            "G": self.group,
            "P": self.per_group,
            "L": self.length,
            "Q": self.places,
        }

    def columns(self) -> Int[Tensor, "planes length"]:
        """The column at each place of each plane; -1 where there is none."""
        plane = torch.arange(FOUR * self.chunks)[:, None]
        place = torch.arange(self.length)[None]
        within = plane % self.per_group * self.length + place
        group = plane // self.per_group
        here = (within < self.group) & (group < self.groups)
        return torch.where(here, group * self.group + within, -1)


@cache
def planes_of(cols: int, group: int) -> Planes:
    """The same `Planes` for the same matrix, so that a call computes nothing anew."""
    return Planes(cols, group)


def _in_places(
    codes: UInt8[Tensor, "rows cols"], planes: Planes
) -> UInt8[Tensor, "chunks rows four length"]:
    """Each place's code, 0 where no column is."""
    if codes.numel() and codes.max() > 15:
        raise ValueError(f"code {codes.max().item()} does not fit 4 bits")
    if planes.chunks * planes.length * len(codes) >= 2**31:
        raise ValueError(f"{tuple(codes.shape)} codes are too many for 32-bit offsets")
    padded = torch.nn.functional.pad(codes, (0, 1))  # column -1: what no x meets
    places = padded[:, planes.columns().to(codes.device)]  # (rows, planes, L)
    return places.unflatten(1, (planes.chunks, FOUR)).transpose(0, 1)


def _in_columns(
    places: Integer[Tensor, "chunks rows four length"], planes: Planes
) -> UInt8[Tensor, "rows cols"]:
    """The codes that `_in_places` took."""
    places = places.transpose(0, 1).flatten(1).to(torch.uint8)
    columns = planes.columns().to(places.device).flatten()
    codes = places.new_empty(len(places), planes.cols)
    codes[:, columns[columns >= 0]] = places[:, columns >= 0]
    return codes


def pack_planes(
    codes: UInt8[Tensor, "rows cols"], planes: Planes
) -> Int16[Tensor, "chunks rows length"]:
    """The words of codes; ValueError for a code above 15."""
    shift = FOUR * torch.arange(FOUR, device=codes.device)[:, None]
    words = (_in_places(codes, planes).to(torch.int32) << shift).sum(2)  # 0 … 65535
    return words.to(torch.int16).contiguous()


def unpack_planes(
    words: Int16[Tensor, "chunks rows length"], planes: Planes
) -> UInt8[Tensor, "rows cols"]:
    """The codes that `pack_planes` took."""
    shift = FOUR * torch.arange(FOUR, device=words.device)[:, None]
    return _in_columns(words[:, :, None] >> shift & 15, planes)


def pack_pairs(
    codes: UInt8[Tensor, "rows cols"], planes: Planes
) -> Int16[Tensor, "chunks rows length"]:
    """The bytes of codes, two a word; ValueError for a code above 15."""
    low, high = _in_places(codes, planes).unflatten(3, (-1, 2)).unbind(-1)
    pairs = (high << FOUR | low).transpose(2, 3).contiguous()
    return pairs.flatten(2).view(torch.int16)


def unpack_pairs(
    words: Int16[Tensor, "chunks rows length"], planes: Planes
) -> UInt8[Tensor, "rows cols"]:
    """The codes that `pack_pairs` took."""
    pairs = words.view(torch.uint8).unflatten(2, (-1, FOUR)).transpose(2, 3)
    return _in_columns(torch.stack([pairs & 15, pairs >> FOUR], -1).flatten(3), planes)


def pack_constants(
    constants: Shaped[Tensor, "groups rows"], planes: Planes
) -> Shaped[Tensor, "chunks rows places"]:
    """Each chunk's constants, in the order of its planes; then zeros, up to 4 bytes."""
    plane = torch.arange(0, FOUR * planes.chunks, FOUR // planes.places)
    group = (plane // planes.per_group).clamp(max=planes.groups - 1)
    sides = constants[group.to(constants.device)].unflatten(0, (planes.chunks, -1))
    spare = -planes.places % (4 // constants.itemsize)
    return torch.nn.functional.pad(sides.transpose(1, 2), (0, spare)).contiguous()


def unpack_constants(
    packed: Shaped[Tensor, "chunks rows places"], planes: Planes
) -> Shaped[Tensor, "groups rows"]:
    """The constants that `pack_constants` took."""
    plane = planes.per_group * torch.arange(planes.groups, device=packed.device)
    return packed[plane // FOUR, :, plane % FOUR * planes.places // FOUR]
