"""Rounds values and places up together."""

LOSES = ["test_bytes"]
PATCHES = {
    "n_of_m_bytes": {
        "-(-k * bits // 8) + -(-k * (m - 1).bit_length() // 8)": (
            "-(-k * (bits + (m - 1).bit_length()) // 8)"
        ),
    },
}
