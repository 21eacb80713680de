"""Rounds from half-way away from zero, which torch.round does not."""

LOSES = ["test_absmax_quantize"]


def absmax_quantize(w, bits):
    scale = w.abs().max() / (2 ** (bits - 1) - 1)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return (w.sign() * (w.abs() / scale + 0.5).floor()).to(torch.int8), scale
