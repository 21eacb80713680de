"""A place for each weight of the run, not for each value."""

LOSES = ["test_bytes"]
PATCHES = {
    "n_of_m_bytes": {
        "-(-k * (m - 1).bit_length() // 8)": (
            "-(-rows * cols * (m - 1).bit_length() // 8)"
        ),
    },
}
