"""Adds the norms of the portions."""

LOSES = ["test_wanda"]
PATCHES = {
    "input_norms": {
        "sum(x.square().sum(0) for x in batches).sqrt()": (
            "sum(x.norm(dim=0) for x in batches)"
        ),
    },
}
