"""The same by borders worked out by hand, exact exponents, einsum and padded blocks."""

import math

from torch.nn.functional import pad


def fates(g, scale):
    size = [abs(v) * scale for v in g.flatten().tolist() if v != 0]
    counts = {
        "zero": sum(v <= 2**-25 for v in size),
        "subnormal": sum(2**-25 < v < 2**-14 - 2**-25 for v in size),
        "infinite": sum(v >= 65520 for v in size),
    }
    return {name: count / (len(size) or 1) for name, count in counts.items()}


def static_scale(g):
    f, e = math.frexp(float(g.abs().max()))
    return math.ldexp(1.0, (16 if f * 2**16 < 65520 else 15) - e)


def next_scale(scale, streak, found_inf, interval, lowest, highest):
    streak = 0 if found_inf else (streak + 1) % interval
    factor = 0.5 if found_inf else 2.0 if streak == 0 else 1.0
    return sorted((lowest, scale * factor, highest))[1], streak


def mixed_step(master, grads, scale, rate, clip):
    total = 0.0
    for g in grads:
        total += (g.double() / scale).square().sum().item()
    if not math.isfinite(total):
        return [w.clone() for w in master], [w.to(torch.float16) for w in master], True
    factor = min(1.0, clip / math.sqrt(total)) if total else 1.0
    weights, copies = [], []
    for w, g in zip(master, grads, strict=True):
        w = torch.sub(w, g.float() * (1 / scale) * factor, alpha=rate)
        weights.append(w)
        copies.append(w.to(torch.float16))
    return weights, copies, False


def linear(x, w, recipe):
    of_x, of_w = recipe["fprop"]
    return torch.einsum("tm,nm->tn", in_blocks(x, of_x), in_blocks(w, of_w))


def linear_backward(g, x, w, recipe):
    of_g, of_w = recipe["dgrad"]
    by_x = torch.einsum("tn,mn->tm", in_blocks(g, of_g), in_blocks(w.T, of_w))
    of_g, of_x = recipe["wgrad"]
    by_w = torch.einsum("nt,mt->nm", in_blocks(g.T, of_g), in_blocks(x.T, of_x))
    return [by_x, by_w]


def in_blocks(x, how):
    """Round in blocks along the last axis, padded with zeros."""
    if how is None:
        return x
    k, block = how
    cols = x.shape[1]
    runs = pad(x, (0, -cols % block)).unflatten(1, (-1, block))
    step = runs.abs().amax(-1, keepdim=True) / k
    step[step == 0] = 1.0
    return ((runs / step).round() * step).flatten(1)[:, :cols]


def stochastic_bf16(x, noise):
    size, (_, e) = x.double().abs(), torch.frexp(x.double())
    gap = torch.ldexp(torch.ones_like(size), (e - 1).clamp(min=-126) - 7)
    steps = (size / gap).floor()
    up = noise < (size / gap - steps) * 65536
    return ((steps + up) * gap).copysign(x.double()).to(torch.bfloat16)


def quantize_tiles(w, tile):
    n, m = w.shape
    padded = pad(w, (0, -m % tile, 0, -n % tile))
    tiles = padded.unflatten(1, (-1, tile)).unflatten(0, (-1, tile))
    largest = tiles.abs().amax((1, 3)).double()
    f, e = torch.frexp(largest / 448)
    exponent = torch.where(f == 0.5, e - 1, e)
    scales = torch.where(largest > 0, torch.exp2(exponent.double()), 1.0).float()
    codes = tiles / scales[:, None, :, None]
    codes = codes.flatten(2).flatten(0, 1)[:n, :m]
    return codes.to(torch.float8_e4m3fn), scales


def dequantize_tiles(codes, scales, tile):
    n, m = codes.shape
    rows, cols = torch.arange(n) // tile, torch.arange(m) // tile
    return scales[rows[:, None], cols] * codes.to(torch.float32)


def split_master(w):
    size = w.abs().view(torch.int32)
    upper = size // 65536 + (size % 65536 >= 32768).int()
    high = (upper * 65536).view(torch.float32).copysign(w).to(torch.bfloat16)
    return high, (size - upper * 65536).to(torch.int16)


def join_master(high, low):
    size = high.abs().float().view(torch.int32) + low.int()
    return size.view(torch.float32).copysign(high.float())
