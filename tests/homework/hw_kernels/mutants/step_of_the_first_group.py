"""Never goes on to the next group's step."""

LOSES = ["test_product"]
PATCHES = {
    "product_kernel": {
        "steps + row * groups + g": "steps + row * groups",
    },
}
