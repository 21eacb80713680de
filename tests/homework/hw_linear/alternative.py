"""The same mathematics along other roads: nearest levels, loops over columns, bits."""

import itertools

import numpy as np


def nearest(x, levels):
    """Index of the level nearest to each x, from half-way that of the even index."""
    distance = (x[..., None] - levels).abs()
    least = distance.amin(-1, keepdim=True)
    index = torch.arange(len(levels), dtype=torch.float64)
    even_first = torch.where(distance == least, index % 2, torch.inf)
    return even_first.argmin(-1)


def absmax_quantize(w, bits):
    top = (1 << (bits - 1)) - 1
    largest = max(w.max().item(), -w.min().item())
    if largest == 0:
        return torch.zeros(w.shape, dtype=torch.int64), torch.tensor(1.0)
    scale = torch.tensor(largest / top, dtype=torch.float64)
    # 0 must get an even index, so let the levels run from an even code
    levels = torch.arange(-top - 1, top + 1, dtype=torch.float64)
    return nearest(w.double() / scale, levels) - top - 1, scale


def zero_point_quantize(w, bits):
    top = (1 << bits) - 1
    low, high = min(0.0, w.min().item()), max(0.0, w.max().item())
    scale = (high - low) / top or 1.0
    zero = round(-low / scale)  # Python's own rounding also goes to even
    flat = [min(top, max(0, round(x / scale) + zero)) for x in w.flatten().tolist()]
    codes = torch.tensor(flat).view(w.shape)
    return codes, torch.tensor(scale, dtype=w.dtype), torch.tensor(zero)


def dequantize(codes, scale, zero):
    return codes.double() * scale - zero.double() * scale


def bits_for(low, high, tolerance):
    for bits in itertools.count(1):
        if (high - low) / (2**bits - 1) <= 2 * tolerance:
            return bits


def quantize_weight(weight, bits, group):
    cols = weight.shape[1]
    if cols % group != 0:
        raise ValueError(f"{cols} columns cannot be cut into groups of {group}")
    top = 2**bits - 1
    parts = []
    for block in weight.split(group, dim=1):  # all rows at once
        low = torch.minimum(block.min(dim=1).values, torch.zeros(()))
        high = torch.maximum(block.max(dim=1).values, torch.zeros(()))
        scale = (high - low).div(top)
        scale[scale == 0] = 1
        zero = torch.round(low / -scale)
        codes = torch.round(block / scale.unsqueeze(1)).add(zero.unsqueeze(1))
        parts.append(
            (codes.clip(0, top).int(), scale.unsqueeze(1), zero.int()[:, None])
        )
    return tuple(torch.cat(part, dim=1) for part in zip(*parts, strict=True))


def clip_weight(weight, bits, group, clips):
    rows, cols = weight.shape
    blocks = weight.reshape(-1, group)  # every group a row: one range a row
    low, high = blocks.min(1, keepdim=True).values, blocks.max(1, keepdim=True).values
    low, high = low.minimum(torch.zeros(())), high.maximum(torch.zeros(()))
    tries = []
    for clip in clips:
        kept = blocks.minimum(clip * high).maximum(clip * low)
        tries.append(quantize_weight(kept, bits, group))
    errors = [((s * (c - z) - blocks) ** 2).sum(1) for c, s, z in tries]
    choice = torch.stack(errors).argmin(0)
    each = torch.arange(len(blocks))
    codes, scale, zero = (
        torch.stack(x)[choice, each] for x in zip(*tries, strict=True)
    )
    shape = (rows, cols // group)
    return codes.reshape(rows, cols), scale.reshape(shape), zero.reshape(shape)


def pack(codes):
    numbers = np.asarray([code % 16 for code in codes.tolist()], dtype=np.uint8)
    bits = np.unpackbits(numbers[:, None], axis=1, count=4, bitorder="little")
    return torch.from_numpy(np.packbits(bits.reshape(-1), bitorder="little"))


def unpack(packed, count, signed):
    digits = "".join(f"{byte:02x}"[::-1] for byte in packed.tolist())
    numbers = [int(digit, 16) for digit in digits[:count]]
    return torch.tensor([n - 16 if signed and n >= 8 else n for n in numbers])


def smollm2_layer(weight):
    return quantize_weight(weight, bits=4, group=64)


def importance_quantize(weight, importance):
    rows, cols = weight.shape
    blocks = weight.reshape(-1, 64)
    h = importance.reshape(-1, 64).repeat(rows, 1)
    low, high = blocks.amin(1, keepdim=True), blocks.amax(1, keepdim=True)
    low, high = low.clamp(max=0), high.clamp(min=0)
    least = torch.full((len(blocks), 1), torch.inf)
    codes = torch.zeros_like(blocks, dtype=torch.int32)
    scale, zero = torch.ones_like(least), torch.zeros_like(least, dtype=torch.int32)
    for clip in (1.0, 0.91, 0.82, 0.73):
        kept = blocks.minimum(clip * high).maximum(clip * low)
        c, s, z = quantize_weight(kept, 2, 64)
        d = (c - z).float()
        along, across = (h * blocks * d).sum(1, keepdim=True), (h * d * d).sum(1, True)
        s = torch.where(along > 0, along / across.clamp(min=1e-30), s)
        error = (h * (blocks - s * d) ** 2).sum(1, keepdim=True)
        new = error < least
        codes, scale = torch.where(new, c, codes), torch.where(new, s, scale)
        zero, least = torch.where(new, z, zero), torch.where(new, error, least)
    shape = (rows, cols // 64)
    return codes.reshape(rows, cols), scale.reshape(shape), zero.reshape(shape)
