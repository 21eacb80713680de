"""Merges in 16 bits and back."""

LOSES = ["test_merged"]
PATCHES = {
    "merged": {
        ("return w + alpha / len(a) * (b @ a)"): (
            "return (w + alpha / len(a) * (b @ a)).bfloat16().float()"
        ),
    },
}
