"""Exchanges the price of reading and that of writing."""

LOSES = ["test_bill"]
PATCHES = {
    "bill": {
        "read * read_price + written * written_price": (
            "read * written_price + written * read_price"
        ),
    },
}
