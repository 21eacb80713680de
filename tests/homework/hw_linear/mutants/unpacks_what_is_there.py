"""Returns every code of the bytes, but the last where count is odd."""

LOSES = ["test_unpack"]
PATCHES = {
    "unpack": {
        "[:count]": "[: 2 * len(packed) - count % 2]",
    },
}
