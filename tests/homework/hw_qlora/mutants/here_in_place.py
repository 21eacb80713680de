"""Changes the list that it is given."""

LOSES = ["test_touch"]
PATCHES = {
    "touch": {
        "return [*others[leaving:], page], moves": (
            "here[:] = [*others[leaving:], page]\n    return here, moves"
        ),
    },
}
