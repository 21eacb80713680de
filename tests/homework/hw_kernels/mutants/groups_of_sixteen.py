"""Takes eight bytes at a time, whatever the group."""

LOSES = ["test_product"]
PATCHES = {
    "product": {
        "triton.next_power_of_2(group // 2)": "8",
    },
}
