"""Takes the exponent j/d, not 2j/d."""

LOSES = ["test_rotate"]
PATCHES = {
    "rotate": {
        "arange(half) / half": "arange(half) / x.shape[-1]",
    },
}
