"""Never scales down."""

LOSES = ["test_static_scale"]
PATCHES = {
    "static_scale": {
        "return scale": "return max(1.0, scale)",
    },
}
