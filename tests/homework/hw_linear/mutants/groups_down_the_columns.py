"""Runs the groups along the rows' axis, down the columns."""

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
    runs = weight.T.reshape(weight.shape[0], -1, group)
    low = runs.amin(-1, keepdim=True).clamp(max=0)
    high = runs.amax(-1, keepdim=True).clamp(min=0)
    scale = (high - low) / (2**bits - 1)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    zero = (-low / scale).round()
    codes = ((runs / scale).round() + zero).clamp(0, 2**bits - 1).to(torch.uint8)
    codes = codes.reshape(cols, weight.shape[0]).T
    return codes, scale.squeeze(-1), zero.squeeze(-1).to(torch.int32)
