"""Hides a query's own token: nothing is left of a text's first."""

LOSES = ["test_attention", "test_cached_attention"]
PATCHES = {
    "attention": {
        "> place": ">= place",
    },
}
