"""Takes the gold part times T², too."""

LOSES = ["test_kd_gradient"]
PATCHES = {
    "kd_gradient": {
        "ce * (student": "ce * temperature**2 * (student",
    },
}
