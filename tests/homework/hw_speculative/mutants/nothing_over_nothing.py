"""Divides by 1 - alpha where alpha is 1."""

LOSES = ["test_best_gamma"]
PATCHES = {
    "expected_tokens": {
        "return float(sum(alpha": """if alpha == 1:
        return float('nan')
    return float(sum(alpha""",
    },
}
