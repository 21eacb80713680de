"""Rounds to two bits, whatever is asked for."""

LOSES = ["bonus_outliers"]
PATCHES = {"gptq_with_outliers": {"find_grid(inner, bits)": "find_grid(inner, 2)"}}
