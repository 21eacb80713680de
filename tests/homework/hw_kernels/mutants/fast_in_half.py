"""Lets the matrix unit add in float16."""

LOSES = ["bonus_fast"]
PATCHES = {
    "fast": {
        "mask=asked, other=0))": "mask=asked, other=0), out_dtype=tl.float16)",
        "other=0), part)": "other=0), part, out_dtype=tl.float16)",
    },
}
