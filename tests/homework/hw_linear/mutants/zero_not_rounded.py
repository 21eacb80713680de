"""Rounds w / s + z once, with a fractional z: no level is exactly 0."""

LOSES = ["test_zero_point_quantize"]


def zero_point_quantize(w, bits):
    low, high = w.min().clamp(max=0), w.max().clamp(min=0)
    scale = (high - low) / (2**bits - 1)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    zero = -low / scale
    codes = (w / scale + zero).round().clamp(0, 2**bits - 1)
    return codes.to(torch.uint8), scale, zero.to(torch.int32)
