"""Loops over groups and numbers in Python; float32 steps, int64 and int16 codes."""

import numpy as np


def absmax_quantize(w, bits):
    x = w.detach().numpy().astype(np.float64)
    s = np.abs(x).max() / (2 ** (bits - 1) - 1)
    s = s if s else 1.0
    return torch.from_numpy(np.asarray(np.rint(x / s).astype(np.int32))), torch.tensor(
        s
    )


def zero_point_quantize(w, bits):
    x = w.detach().numpy().astype(np.float64)
    lo, hi = min(x.min(), 0.0), max(x.max(), 0.0)
    s = (hi - lo) / (2**bits - 1) or 1.0
    z = int(np.rint(-lo / s))
    c = np.clip(np.rint(x / s) + z, 0, 2**bits - 1).astype(np.int64)
    return (
        torch.from_numpy(np.asarray(c)),
        torch.tensor(s, dtype=torch.float32),
        torch.tensor(z),
    )


def dequantize(codes, scale, zero):
    return (codes.long() - zero.long()) * scale.float()


def bits_for(low, high, tolerance):
    bits = 1
    while (high - low) / (2**bits - 1) / 2 > tolerance:
        bits += 1
    return bits


def quantize_weight(weight, bits, group):
    rows, cols = weight.shape
    if cols % group != 0:
        raise ValueError(f"the columns ({cols}) are no multiple of the group ({group})")
    flat = weight.reshape(-1, group)
    zeros = torch.zeros(len(flat), 1, dtype=weight.dtype)
    both = torch.cat([flat, zeros], 1)
    lo, hi = both.min(1, keepdim=True)[0], both.max(1, keepdim=True)[0]
    s = (hi - lo) / (2**bits - 1)
    s[s == 0] = 1.0
    z = torch.round(-lo / s)
    c = torch.clip(torch.round(flat / s) + z, 0, 2**bits - 1)
    return (
        c.reshape(rows, cols).short(),
        s.reshape(rows, cols // group),
        z.reshape(rows, cols // group).long(),
    )


def clip_weight(weight, bits, group, clips):
    chosen = []
    for run in weight.reshape(-1, group):
        low, high = run.min().clamp(max=0), run.max().clamp(min=0)
        least = float("inf")
        for clip in clips:
            kept = run.clamp(clip * low, clip * high)
            codes, scale, zero = (
                x[0] for x in quantize_weight(kept[None], bits, group)
            )
            error = ((run - scale * (codes - zero)) ** 2).sum().item()
            if error < least:
                least, best = error, (codes, scale, zero)
        chosen.append(best)
    codes, scale, zero = (torch.stack(x) for x in zip(*chosen, strict=True))
    groups = weight.shape[1] // group
    return codes.reshape(weight.shape), scale.view(-1, groups), zero.view(-1, groups)


def pack(codes):
    c = codes.long() % 16
    if len(c) % 2:
        c = torch.cat([c, torch.zeros(1, dtype=torch.long)])
    pairs = c.view(-1, 2)
    return (pairs[:, 0] + 16 * pairs[:, 1]).to(torch.uint8)


def unpack(packed, count, signed):
    out = []
    for byte in packed.tolist():
        for code in (byte % 16, byte // 16):
            out.append(code - 16 if signed and code > 7 else code)
    return torch.tensor(out[:count], dtype=torch.long)
