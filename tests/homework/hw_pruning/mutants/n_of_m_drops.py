"""N counts what goes, in the bytes."""

LOSES = ["test_bytes"]
PATCHES = {
    "n_of_m_bytes": {
        "// m * n": "// m * (m - n)",
    },
}
