"""Takes logarithms of a softmax."""

LOSES = ["bonus_divergence_gradient"]
PATCHES = {
    "divergence_gradient": {
        "log_softmax(student / temperature, -1)": (
            "(student / temperature).softmax(-1).log()"
        ),
    },
}
