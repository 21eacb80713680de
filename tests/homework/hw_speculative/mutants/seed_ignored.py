"""Draws from torch's own generator."""

LOSES = ["bonus_sample"]
PATCHES = {
    "sample": {
        "torch.multinomial(law, 1, generator=generator)": "torch.multinomial(law, 1)",
    },
}
