"""Adds noise, and rounds to nearest where it should cut off."""

LOSES = ["test_stochastic_bf16"]
PATCHES = {
    "stochastic_bf16": {
        " & ~0xFFFF": "",
    },
}
