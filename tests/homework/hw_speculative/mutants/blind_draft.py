"""Drafts every token from the text alone, without the guesses before."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        "draft(text + guess)": "draft(text)",
    },
}
