"""Brings the page in before there is room."""

LOSES = ["test_touch"]
PATCHES = {
    "touch": {
        ("return [*others[leaving:], page], moves"): (
            "return [*others[leaving:], page], sorted(moves)"
        ),
    },
}
