"""Forgets the temperature of the soft part."""

LOSES = ["test_triple_loss"]
PATCHES = {
    "triple_loss": {
        "temperature, kd, ce)": "1.0, kd, ce)",
    },
}
