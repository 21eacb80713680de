"""Signs apart: everything is done to magnitudes, and zero loses its sign on the way."""


def round_nearest(x, exponent_bits, fraction_bits):
    bias = 2 ** (exponent_bits - 1) - 1
    exponent = (torch.frexp(x.abs())[1] - 1).clamp(min=1 - bias).double()
    k = torch.round(x.abs() * 2 ** (fraction_bits - exponent))
    return torch.sign(x) * k * 2 ** (exponent - fraction_bits)


def overflow(y, largest, specials, saturate):
    out = y.clone()
    end = largest if saturate or specials == "none" else math.inf
    out[y.abs() > largest] = y.sign()[y.abs() > largest] * end
    return out.where(out.isfinite(), math.nan) if specials == "nan" else out


def round_stochastic(x, below, above, uniforms):
    gap = above - below
    return below + gap * torch.floor(torch.nan_to_num((x - below) / gap) + uniforms)


def mxfp4(x):
    magnitudes = x.abs().view(x.shape[0], -1, 32)
    power = torch.frexp(magnitudes.amax(2))[1].double() - 3
    scales = 2 ** power.where(magnitudes.amax(2) > 0, -127).clamp(-127, 127)
    wide = scales.repeat_interleave(32, 1)
    scaled = (x.abs() / wide).clamp(max=6)
    step = 2 ** (torch.frexp(scaled)[1].double() - 2).clamp(min=-1)
    return scales, x.sign() * torch.round(scaled / step) * step * wide
