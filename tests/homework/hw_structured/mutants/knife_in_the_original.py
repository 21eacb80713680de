"""Cuts its caller's dict."""

LOSES = ["test_cut_mlp"]
PATCHES = {
    "cut_mlp": {
        "dict(mlp)": ("mlp"),
    },
}
