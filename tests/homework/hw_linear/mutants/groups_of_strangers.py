"""Reshapes to (rows, group, groups): a group takes every so-manieth column."""

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
    runs = weight.unflatten(1, (group, -1))
    low = runs.amin(1, keepdim=True).clamp(max=0)
    high = runs.amax(1, keepdim=True).clamp(min=0)
    scale = (high - low) / (2**bits - 1)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    zero = (-low / scale).round()
    codes = ((runs / scale).round() + zero).clamp(0, 2**bits - 1).to(torch.uint8)
    return codes.flatten(1), scale.squeeze(1), zero.squeeze(1).to(torch.int32)
