"""Gives 8 bits the range of -128: 2^(b-1) steps on a side, for 2^(b-1) - 1."""

LOSES = ["test_absmax_quantize"]


def absmax_quantize(w, bits):
    scale = w.abs().max() / 2 ** (bits - 1)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return (w / scale).round().to(torch.int8), scale
