"""Takes the largest weight for the largest magnitude."""

LOSES = ["test_absmax_quantize"]


def absmax_quantize(w, bits):
    scale = w.max() / (2 ** (bits - 1) - 1)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return (w / scale).round().to(torch.int8), scale
