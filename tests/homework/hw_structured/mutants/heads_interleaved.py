"""Takes every so-many-th row as a head."""

LOSES = ["test_cut_heads", "test_slim_attention"]
PATCHES = {
    "cut_heads": {
        ("(kept[:, None] * head_dim + torch.arange(head_dim)).flatten()"): (
            "(kept[:, None] + torch.arange(head_dim) * "
            '(len(attention["q"]) // head_dim)).flatten()'
        ),
    },
}
