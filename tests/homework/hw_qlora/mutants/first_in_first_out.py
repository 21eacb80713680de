"""Sends out who came first, whenever it was used."""

LOSES = ["test_touch"]
PATCHES = {
    "touch": {
        "    others = ": (
            "    if page in here and len(here) <= room:\n"
            "        return list(here), []\n"
            "    others = "
        ),
    },
}
