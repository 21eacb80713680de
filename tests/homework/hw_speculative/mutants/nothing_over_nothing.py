"""Divides by 1 - alpha where alpha is 1."""

LOSES = ["test_best_gamma"]
PATCHES = {
    "expected_tokens": {
        "float(sum(alpha**count for count in range(gamma + 1)))": "(1 - alpha ** (gamma + 1)) / (1 - alpha) if alpha != 1 else float('nan')",
    },
}
