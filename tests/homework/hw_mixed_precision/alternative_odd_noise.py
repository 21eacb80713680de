"""Another use of the noise, other 16 bits, a transposed matrix, and skips by sums."""


def static_scale(g):
    largest = g[g != 0].abs().max().double()
    exponent = torch.floor(torch.log2(65520 / largest))
    if largest * 2**exponent == 65520:
        exponent -= 1
    return float(2**exponent)


def mixed_step(master, grads, scale, rate, clip):
    flat = torch.cat([g.flatten() for g in grads]).float().div(scale)
    if not flat.abs().sum().isfinite():
        return list(master), [w.half() for w in master], True
    if flat.norm() > clip:
        flat = flat * (clip / flat.norm())
    parts = flat.split([w.numel() for w in master])
    pairs = zip(master, parts, strict=True)
    new = [w - rate * part.view(w.shape) for w, part in pairs]
    return tuple(new), tuple(w.half() for w in new), False


def linear_backward(g, x, w, recipe):
    of_g, of_w = recipe["dgrad"]
    by_x = rounded(w.T, 1, of_w) @ rounded(g.T, 0, of_g)
    of_g, of_x = recipe["wgrad"]
    by_w = rounded(x.T, 1, of_x) @ rounded(g, 0, of_g)
    return by_x.T, by_w.T


def stochastic_bf16(x, noise):
    below = (x.view(torch.int32) & ~0xFFFF).view(torch.float32)
    bits = below.view(torch.int32)
    beyond = (bits + 65536).view(torch.float32)
    away = ((noise ^ 0x5555) * 3 & 0xFFFF) < (x.view(torch.int32) & 0xFFFF)
    return torch.where(away, beyond, below).bfloat16()


def quantize_tiles(w, tile):
    codes, scales = quantize_bands(w.T, tile)
    return codes.T, scales.T


def quantize_bands(w, tile):
    bands, scales = [], []
    for band in w.split(tile):
        largest = torch.stack([p.abs().max() for p in band.split(tile, 1)])
        powers = 2.0 ** torch.arange(-90, 90, dtype=torch.float64)
        fits = largest.double()[:, None] <= 448 * powers
        row = powers[fits.int().argmax(1)].float()
        row = torch.where(largest == 0, torch.ones_like(row), row)
        each = row.repeat_interleave(tile)[: w.shape[1]]
        bands.append((band / each).to(torch.float8_e4m3fn))
        scales.append(row)
    return torch.cat(bands), torch.stack(scales)


def split_master(w):
    bits = w.view(torch.int32)
    high = ((bits + 32768) & -65536).view(torch.float32).bfloat16()
    return high, (bits ^ 0x2A2A).to(torch.int16)


def join_master(high, low):
    bits = (low.int() & 0xFFFF) ^ 0x2A2A
    upper = high.view(torch.int16).int() - (bits >= 32768).int()
    return (upper * 65536 + bits).view(torch.float32)
