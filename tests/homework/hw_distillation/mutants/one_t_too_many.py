"""Keeps T², and forgets the softmax's own 1/T."""

LOSES = ["test_kd_gradient"]
PATCHES = {
    "kd_gradient": {
        "temperature * (q - p)": "temperature**2 * (q - p)",
    },
}
