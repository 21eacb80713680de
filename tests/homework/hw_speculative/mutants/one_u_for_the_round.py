"""Draws one u for all guesses of a round."""

LOSES = ["bonus_sample"]
PATCHES = {
    "sample": {
        "u = torch.rand(len(guess), generator=generator, dtype=torch.float64)": "u = torch.rand(1, generator=generator, dtype=torch.float64).expand(len(guess))",
    },
}
