"""Writes into the caller's prompt."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        "text, stop = list(prompt),": "start, text, stop = len(prompt), prompt,",
        "return text[len(prompt) :]": "return text[start:]",
    },
}
