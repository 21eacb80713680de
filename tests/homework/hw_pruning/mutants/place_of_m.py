"""Bits of m itself: three for four."""

LOSES = ["test_bytes"]
PATCHES = {
    "n_of_m_bytes": {
        "(m - 1).bit_length()": "m.bit_length()",
    },
}
