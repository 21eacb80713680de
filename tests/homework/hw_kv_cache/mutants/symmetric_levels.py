"""Centres the levels at 0, where a channel of keys lies far from it."""

LOSES = ["bonus_quantize_cache"]
PATCHES = {
    "quantize_cache": {
        "runs.amin(-1, keepdim=True), runs.amax(-1, keepdim=True)": (
            "-runs.abs().amax(-1, keepdim=True), runs.abs().amax(-1, keepdim=True)"
        ),
    },
}
