"""Lets the second learn from the first after its step."""

LOSES = ["test_mutual_gradients"]
PATCHES = {
    "mutual_gradients": {
        "    return gradient, -gradient": (
            "    moved = soft_targets(first - gradient, temperature)\n"
            "    return gradient, temperature * (b - moved) / len(first)"
        ),
    },
}
