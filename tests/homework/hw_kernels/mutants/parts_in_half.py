"""Keeps the parts in float16."""

LOSES = ["test_split_product"]
PATCHES = {
    "split_product": {
        "splits, rows, dtype=torch.float32": "splits, rows, dtype=torch.float16",
    },
}
