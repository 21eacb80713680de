"""Takes the zero from the step in fp16: it comes out one too small at times."""

LOSES = ["test_grid"]
PATCHES = {
    "find_grid": {
        "(-low / scale)": "(-low / scale.half().to(w.dtype))",
    },
}
