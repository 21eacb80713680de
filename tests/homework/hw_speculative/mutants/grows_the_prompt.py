"""Writes into the caller's prompt."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        "text, stop = list(prompt), len(prompt) + new_tokens": "start, text, stop = len(prompt), prompt, len(prompt) + new_tokens",
        "return text[len(prompt) :]": "return text[start:]",
    },
}
