"""Divides 0 by 0 where all weights are 0."""

LOSES = ["test_zero_point_quantize"]


def zero_point_quantize(w, bits):
    low, high = w.min().clamp(max=0), w.max().clamp(min=0)
    scale = (high - low) / (2**bits - 1)
    zero = (-low / scale).round()
    codes = ((w / scale).round() + zero).clamp(0, 2**bits - 1)
    return codes.to(torch.uint8), scale, zero.to(torch.int32)
