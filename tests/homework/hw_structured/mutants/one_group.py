"""Takes all heads for one group."""

LOSES = ["test_slim_attention"]
PATCHES = {
    "slim_attention": {
        'len(attention["k"]) // head_dim, count)': (
            '1, count * (len(attention["k"]) // head_dim))'
        ),
    },
}
