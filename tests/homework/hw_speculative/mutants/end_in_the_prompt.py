"""Takes an end in the prompt for the end of the text."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        "        if end in new:": """        if end in prompt:
            return new[:1]
        if end in new:""",
    },
}
