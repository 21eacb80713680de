"""Divides the noise alone by β."""

LOSES = ["test_sample_gates"]
PATCHES = {
    "sample_gates": {
        "(u.log() - (1 - u).log() + log_alpha) / BETA": (
            "(u.log() - (1 - u).log()) / BETA + log_alpha"
        ),
    },
}
