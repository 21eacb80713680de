"""Puts the queries at the end of the room, not at the end of each row."""

LOSES = ["test_attention"]
PATCHES = {
    "attention": {
        "lengths[:, None] - m": "torch.full_like(lengths, room)[:, None] - m",
    },
}
