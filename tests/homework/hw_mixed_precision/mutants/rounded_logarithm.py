"""Trusts a logarithm in single precision."""

LOSES = ["test_quantize_tiles"]
PATCHES = {
    "quantize_tiles": {
        "2.0 ** (e - 1 if f == 0.5 else e) if f else 1.0": (
            "2.0 ** (part.abs().max() / 448).log2().ceil().item() if f else 1.0"
        ),
    },
}
