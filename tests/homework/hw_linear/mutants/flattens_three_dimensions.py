"""Thinks of a matrix: three dimensions come back as two."""

LOSES = ["test_absmax_quantize"]


def absmax_quantize(w, bits):
    rows = w.reshape(-1, w.shape[-1]) if w.dim() > 1 else w
    scale = rows.abs().max() / (2 ** (bits - 1) - 1)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return (rows / scale).round().to(torch.int8), scale
