"""Counts x in float32."""

LOSES = ["test_least_time"]
PATCHES = {
    "least_time": {
        "2 * tokens * cols + ": "4 * tokens * cols + ",
    },
}
