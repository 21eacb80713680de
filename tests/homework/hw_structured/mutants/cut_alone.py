"""Cuts, and leaves o as it is."""

LOSES = ["test_slim_attention"]
PATCHES = {
    "slim_attention": {
        ('slim | {"o": refit_columns(attention["o"], columns, H, damping)}'): ("slim"),
    },
}
