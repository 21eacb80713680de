"""Norms in single precision, whatever comes in."""

LOSES = ["test_wanda"]
PATCHES = {
    "input_norms": {
        "x.square()": "x.float().square()",
    },
}
