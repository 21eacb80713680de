"""Scales after the cast to fp16: what is lost stays lost."""

LOSES = ["test_fates"]
PATCHES = {
    "fates": {
        "(g[g != 0] * scale).half()": "(g[g != 0].half() * scale)",
    },
}
