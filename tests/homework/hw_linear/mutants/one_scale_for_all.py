"""Fits one grid to the whole matrix and repeats it for every group."""

LOSES = [
    "test_quantize_weight",
    "test_clip_weight",
    "test_smollm2_layer",
    "bonus_importance_quantize",
]


def quantize_weight(weight, bits, group):
    cols = weight.shape[1]
    if cols % group:
        raise ValueError(f"group={group} does not divide the {cols} columns")
    low, high = weight.min().clamp(max=0), weight.max().clamp(min=0)
    scale = (high - low) / (2**bits - 1)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    zero = (-low / scale).round()
    codes = ((weight / scale).round() + zero).clamp(0, 2**bits - 1).to(torch.uint8)
    shape = (weight.shape[0], cols // group)
    return codes, scale.expand(shape), zero.to(torch.int32).expand(shape)
