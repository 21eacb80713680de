"""Right answers written another way: tables, searches and Python numbers, no frexp."""

import functools
import math
from fractions import Fraction

import torch


@functools.cache
def values(e, m):
    """Every magnitude of the format, by counting gaps upwards."""
    line, gap = [Fraction(0)], Fraction(2) ** (2 - 2 ** (e - 1) - m)
    for binade in range(2**e):
        for _ in range(2**m):
            line.append(line[-1] + gap)
        if binade > 0:
            gap *= 2
    return line[: 2 ** (e + m)]


def decode(code, exponent_bits, fraction_bits):
    bits = format(code, f"0{1 + exponent_bits + fraction_bits}b")
    magnitude = float(values(exponent_bits, fraction_bits)[int(bits[1:], 2)])
    return math.copysign(magnitude, 0.5 - int(bits[0]))


def number_line(exponent_bits, fraction_bits, specials):
    line = [float(v) for v in values(exponent_bits, fraction_bits)]
    if specials == "ieee":
        return line[: -(2**fraction_bits)]
    return line[:-1] if specials == "nan" else line


def round_one(x, line):
    """Search for the neighbours, and compare the distances as exact fractions."""
    target = Fraction(abs(x))
    code = max(i for i, v in enumerate(line) if v <= target)
    if code + 1 < len(line):
        down, up = target - line[code], line[code + 1] - target
        if up < down or (up == down and code % 2 == 1):
            code += 1
    return math.copysign(float(line[code]), x)


def round_nearest(x, exponent_bits, fraction_bits):
    if exponent_bits + fraction_bits > 10:  # too many to search: scale Python's round
        lowest = 2 - 2 ** (exponent_bits - 1)
        rounded = []
        for v in x.flatten().tolist():
            exponent = max(math.frexp(v)[1] - 1, lowest)
            k = round(math.ldexp(v, fraction_bits - exponent))
            rounded.append(math.copysign(math.ldexp(k, exponent - fraction_bits), v))
    else:
        line = values(exponent_bits, fraction_bits)
        rounded = [round_one(v, line) for v in x.flatten().tolist()]
    return torch.tensor(rounded, dtype=torch.float64).reshape(x.shape)


def overflow(y, largest, specials, saturate):
    if saturate or specials == "none":
        return y.clamp(-largest, largest)
    y = y.clone()
    if specials == "ieee":
        y[y > largest], y[y < -largest] = math.inf, -math.inf
    else:
        y[y.abs() > largest] = math.nan
    return y


def round_stochastic(x, below, above, uniforms):
    p = torch.where(above > below, (x - below) / (above - below), 0.0)
    return below + (above - below) * (uniforms >= 1 - p)


def mxfp4(x):
    rows, columns = x.shape
    blocks = x.reshape(-1, 32)
    scales = []
    for block in blocks:
        largest = block.abs().max().item()
        power = math.frexp(largest)[1] - 3 if largest else -127
        scales.append(2.0 ** min(max(power, -127), 127))
    scales = torch.tensor(scales, dtype=torch.float64)
    wide = scales[:, None]
    rounded = to_fp4(blocks / wide) * wide
    return scales.reshape(rows, columns // 32), rounded.reshape(rows, columns)


def nvfp4(x):
    t = max(x.abs().max().item() / 2688, 0.0)
    t = 1.0 if t == 0 else t
    s = x.reshape(x.shape[0], -1, 16).abs().max(dim=2).values / t / 6
    s = s.to(torch.float8_e4m3fn).double()
    s[s == 0] = 2.0**-9
    wide = s.repeat_interleave(16, dim=1) * t
    return t, s, to_fp4(x / wide) * wide
