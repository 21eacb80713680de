"""The draft goes on from its own text, and never hears what was refused."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        "text, stop = list(prompt),": """mine = list(prompt)
    text, stop = list(prompt),""",
        "draft(text + guess)[-1].argmax()))": """draft(mine)[-1].argmax()))
            mine.append(guess[-1])""",
    },
}
