"""Stops below the next power of two."""

LOSES = ["test_stochastic_bf16"]
PATCHES = {
    "stochastic_bf16": {
        "bits = (x.view(torch.int32) + noise) & ~0xFFFF": (
            "bits = x.view(torch.int32)\n"
            "    up = (((bits & 0xFFFF) + noise) >> 16) & ((bits & "
            "0x7F0000) != 0x7F0000)\n"
            "    bits = (bits & ~0xFFFF) + (up << 16)"
        ),
    },
}
