"""Drops what is below 0.7 of the mean, as Ternary Weight Networks do."""

LOSES = ["test_ternary"]
PATCHES = {
    "ternary": {
        "(w / scale).round()": "torch.where((w / scale).abs() > 0.7, w.sign(), 0.0)",
    },
}
