"""Weighs gold with 1 - kd."""

LOSES = ["test_kd_gradient"]
PATCHES = {
    "kd_gradient": {
        "+ ce *": "+ (1 - kd) *",
    },
}
