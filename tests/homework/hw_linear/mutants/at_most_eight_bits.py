"""Never answers more than 8 bits."""

LOSES = ["test_bits_for"]
PATCHES = {"bits_for": {"return max(1,": "return min(8, max(1,", "+ 1)))": "+ 1))))"}}
