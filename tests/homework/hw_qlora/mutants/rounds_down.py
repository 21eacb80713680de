"""Takes the level below, not the nearest."""

LOSES = ["test_changed_codes"]
PATCHES = {
    "changed_codes": {
        "(levels[1:] + levels[:-1]) / 2": "levels[1:]",
    },
}
