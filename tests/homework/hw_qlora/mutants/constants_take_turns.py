"""Repeats the constants in turns, not each for a run."""

LOSES = ["test_double_dequant", "test_smollm2"]
PATCHES = {
    "double_dequant": {
        ('constants.repeat_interleave(frozen["block"])'): (
            'constants.repeat(frozen["block"])'
        ),
    },
}
