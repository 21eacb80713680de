"""Moves what bf16 holds, under one noise of 65,536."""

LOSES = ["test_stochastic_bf16"]
PATCHES = {
    "stochastic_bf16": {
        " + noise)": " + noise + 1)",
    },
}
