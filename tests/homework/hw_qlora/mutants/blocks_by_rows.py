"""Begins a block anew with every row."""

LOSES = ["test_double_dequant", "test_smollm2"]
PATCHES = {
    "double_dequant": {
        'constants.repeat_interleave(frozen["block"])[:count]': (
            "torch.stack([constants[(r * -(-cols // "
            'frozen["block"]) + c // frozen["block"]) % '
            "len(constants)] for r in range(rows) for c in "
            "range(cols)])"
        ),
    },
}
