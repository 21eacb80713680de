"""Takes subnormal numbers for zeros."""

LOSES = ["test_fates"]
PATCHES = {
    "fates": {
        "(size == 0)": "(size < 2**-14)",
    },
}
