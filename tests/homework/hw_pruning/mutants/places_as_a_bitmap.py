"""A bit a weight, as the bitmap; equal at 2:4 only."""

LOSES = ["test_bytes"]
PATCHES = {
    "n_of_m_bytes": {
        "-(-k * (m - 1).bit_length() // 8)": "-(-rows * cols // 8)",
    },
}
