"""Takes the mean over places."""

LOSES = ["bonus_divergence_gradient"]
PATCHES = {
    "divergence_gradient": {
        "    return temperature * q *": "    return temperature / len(q) * q *",
    },
}
