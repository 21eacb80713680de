"""Adds up the gates without chance: another number."""

LOSES = ["test_expected_weights"]
PATCHES = {
    "expected_weights": {
        "open_probability(attention), open_probability(heads)": (
            "gates_at_test(attention), gates_at_test(heads)"
        ),
    },
}
