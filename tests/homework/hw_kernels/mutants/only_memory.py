"""Takes the memory for the only wall."""

LOSES = ["test_least_time"]
PATCHES = {
    "least_time": {
        "max(size / BANDWIDTH, 2 * tokens * rows * cols / PEAK)": "size / BANDWIDTH",
    },
}
