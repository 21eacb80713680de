"""Rounds half-way numbers away from zero, as taught in school."""

LOSES = ["test_quantize_rows"]
PATCHES = {
    "quantize_rows": {
        "(x * scale[:, None]).round()": "(x * scale[:, None] + 0.5 * x.sign()).trunc()",
    },
}
