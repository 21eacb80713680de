"""The same mathematics along other roads: loops, distances, strings of digits."""

import math
from statistics import NormalDist, fmean


def nf_levels(bits, offset):
    normal, half = NormalDist(), 2 ** (bits - 1)
    top = normal.inv_cdf(offset)

    def quantile(i, count):  # the i-th of `count` steps from the offset to 1/2
        return normal.inv_cdf(offset + (0.5 - offset) * i / count) / top

    low = [-quantile(i, half - 1) for i in range(half - 1)]
    high = [quantile(i, half) for i in range(half)]
    return torch.tensor([*low, 0.0, *high[::-1]])


def index_of_nearest(x, levels):
    distances = [abs(x - level) for level in levels]
    return distances.index(min(distances))  # the first of two is the lower


def quantize_blocks(w, levels, block):
    codes, constants, levels = [], [], levels.tolist()
    for part in w.flatten().split(block):
        constant = max(abs(x) for x in part.tolist())
        constants.append(constant)
        codes += [index_of_nearest(x / (constant or 1), levels) for x in part.tolist()]
    return torch.tensor(codes).reshape(w.shape), torch.tensor(constants)


def dequantize_blocks(codes, constants, levels, block):
    flat = [
        levels[code].item() * constants[i // block].item()
        for i, code in enumerate(codes.flatten().tolist())
    ]
    return torch.tensor(flat).reshape(codes.shape)


def pack_pairs(codes):
    digits = "".join(f"{code:x}" for code in codes.tolist())
    digits += "0" * (len(digits) % 2)
    return torch.tensor(list(bytes.fromhex(digits)), dtype=torch.uint8)


def unpack_pairs(packed, count):
    digits = bytes(packed.tolist()).hex()[:count]
    return torch.tensor([int(digit, 16) for digit in digits])


def stored_bits(count, block, nested):
    blocks = math.ceil(count / block)
    bits = count * 4 + count % 2 * 4
    if nested is None:
        return bits + blocks * 32
    return bits + blocks * 8 + math.ceil(blocks / nested) * 32 + 32


def double_quantize(constants, levels, nested):
    mean = torch.tensor(fmean(constants.tolist()))
    codes, seconds = [], []
    for part in (constants - mean).split(nested):
        second = part.abs().max().item()
        seconds.append(second)
        scaled = part / second if second else part
        codes += [index_of_nearest(x, levels.tolist()) for x in scaled.tolist()]
    return torch.tensor(codes), torch.tensor(seconds), mean


def double_dequantize(codes, seconds, mean, levels, nested):
    parts = [
        levels[part.long()] * second
        for part, second in zip(codes.split(nested), seconds, strict=True)
    ]
    return torch.cat(parts) + mean


def best_levels(w, k):
    values = sorted(w.double().tolist())
    n = len(values)
    costs = [[0.0] * (n + 1) for _ in range(n + 1)]
    for i in range(n):
        mean = spread = 0.0
        for j in range(i, n):  # Welford's update
            step = values[j] - mean
            mean += step / (j - i + 1)
            spread += step * (values[j] - mean)
            costs[i][j + 1] = spread
    best = {0: {0: (0.0, [])}}
    for cells in range(1, k + 1):
        best[cells] = {}
        for j in range(cells, n + 1):
            tried = [
                (best[cells - 1][i][0] + costs[i][j], i)
                for i in range(cells - 1, j)
                if i in best[cells - 1]
            ]
            cost, i = min(tried)
            best[cells][j] = (cost, [*best[cells - 1][i][1], fmean(values[i:j])])
    return torch.tensor(best[k][n][1])
