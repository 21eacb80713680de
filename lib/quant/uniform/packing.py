"""Store b-bit codes without gaps: code i takes bits i b … i b + b - 1 of one stream.

    stream bit k = bit (k mod 8) of byte floor(k / 8)         bytes = ceil(count b / 8)

so the first of two 4-bit codes is the low nibble, the first of four 2-bit codes the
low two bits ("little-endian"), and unused high bits of the last byte are 0. Eight codes
fill exactly b bytes for every b from 1 to 8: the loops below run over those eight.
"""

import torch
from jaxtyping import Integer, UInt8
from torch import Tensor
from torch.nn.functional import pad


def pack(codes: Integer[Tensor, "..."], bits: int) -> UInt8[Tensor, " bytes"]:
    """Pack codes 0 … 2^b - 1 in row-major order; subtract grid.low from signed ones.

    ValueError for bits outside 1 to 8, and codes that are no integers of so many bits.
    """
    _check(bits)
    if codes.is_floating_point() or codes.dtype == torch.bool:
        raise ValueError(f"codes are {codes.dtype}, not integers")
    if codes.numel() and not 0 <= codes.min() <= codes.max() <= 2**bits - 1:
        raise ValueError(
            f"codes from {codes.min().item()} to {codes.max().item()} do not fit "
            f"0 to {2**bits - 1}; from signed codes, subtract grid.low"
        )
    count = codes.numel()
    octets = pad(codes.flatten().to(torch.uint8), (0, -count % 8)).view(-1, 8)
    packed = octets.new_zeros(len(octets), bits)
    for j in range(8):
        byte, shift = divmod(j * bits, 8)
        packed[:, byte] |= octets[:, j] << shift  # uint8: what overflows is cut off
        if shift + bits > 8:  # and goes to the next byte
            packed[:, byte + 1] |= octets[:, j] >> (8 - shift)
    return packed.flatten()[: _bytes(count, bits)].clone()


def unpack(
    packed: UInt8[Tensor, " bytes"], bits: int, count: int
) -> UInt8[Tensor, " count"]:
    """The `count` codes that `pack` stored, flat.

    ValueError for bits outside 1 to 8, and bytes that are not those of `count` codes.
    """
    _check(bits)
    if (
        count < 0
        or packed.dtype != torch.uint8
        or packed.shape != (_bytes(count, bits),)
    ):
        raise ValueError(
            f"{count} codes of {bits} bits are {_bytes(count, bits)} uint8, "
            f"not {packed.dtype} of shape {tuple(packed.shape)}"
        )
    packed = pad(packed, (0, -len(packed) % bits)).view(-1, bits)
    octets = packed.new_empty(len(packed), 8)
    for j in range(8):
        byte, shift = divmod(j * bits, 8)
        octets[:, j] = packed[:, byte] >> shift
        if shift + bits > 8:
            octets[:, j] |= packed[:, byte + 1] << (8 - shift)
    return octets.flatten()[:count] & (2**bits - 1)


def _bytes(count: int, bits: int) -> int:
    return -(-count * bits // 8)


def _check(bits: int) -> None:
    if bits not in range(1, 9):
        raise ValueError(f"bits={bits} is not in 1 to 8")
