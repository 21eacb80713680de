"""Keeps the scale above 1e-5, as BitNet's code does: small weights become 0."""

LOSES = ["test_ternary"]
PATCHES = {
    "ternary": {
        "torch.where(gamma > 0, gamma, 1.0)": "gamma.clamp(min=1e-5)",
    },
}
