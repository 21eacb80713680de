"""Takes the level below."""

LOSES = ["bonus_quantize_cache"]
PATCHES = {
    "quantize_cache": {
        ".round()": ".floor()",
    },
}
