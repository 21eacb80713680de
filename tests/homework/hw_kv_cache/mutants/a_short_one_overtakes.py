"""Lets a later request in where an earlier one does not fit."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "            break": (
            "            left += -(-length // block)\n            continue"
        ),
    },
}
