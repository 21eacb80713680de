"""Values of 16 bits always."""

LOSES = ["test_bytes"]
PATCHES = {
    "stored_bytes": {
        "-(-k * bits // 8)": "2 * k",
    },
}
