"""Adds noise of the size of the gap at 1 to every number."""

LOSES = ["test_stochastic_bf16"]
PATCHES = {
    "stochastic_bf16": {
        "bits = (x.view(torch.int32) + noise) & ~0xFFFF": (
            "bits = (x + noise * 2.0**-23).view(torch.int32) & ~0xFFFF"
        ),
    },
}
