"""Takes all below 2^-24 for lost: those above 2^-25 are rounded up."""

LOSES = ["test_fates"]
PATCHES = {
    "fates": {
        "(size == 0)": "((g[g != 0] * scale).abs() < 2**-24)",
    },
}
