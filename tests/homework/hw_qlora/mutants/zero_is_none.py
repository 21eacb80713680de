"""Takes adapter 0 for none."""

LOSES = ["test_serve"]
PATCHES = {
    "serve": {
        "if wanted == number": "if wanted and wanted == number",
    },
}
