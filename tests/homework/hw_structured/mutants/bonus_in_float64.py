"""Answers in float64, whatever w is."""

LOSES = ["bonus_smollm2"]
PATCHES = {
    "gentle_refit": {
        ".to(w.dtype)": (""),
    },
}
