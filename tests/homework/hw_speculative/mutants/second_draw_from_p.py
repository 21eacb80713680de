"""Draws from the target again after a refusal, whatever verify says."""

LOSES = ["bonus_sample"]
PATCHES = {
    "sample": {
        "drawn(law)]": "drawn(p[n])]",
    },
}
