"""Spans only from min to max, even where 0 lies outside."""

LOSES = ["test_zero_point_quantize"]


def zero_point_quantize(w, bits):
    low, high = w.min(), w.max()
    scale = (high - low) / (2**bits - 1)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    zero = (-low / scale).round()
    codes = ((w / scale).round() + zero).clamp(0, 2**bits - 1)
    return codes.to(torch.uint8), scale, zero.to(torch.int32)
