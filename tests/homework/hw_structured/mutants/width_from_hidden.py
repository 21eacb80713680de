"""Takes hidden over heads for the width of a head."""

LOSES = ["test_cut_heads"]
PATCHES = {
    "cut_heads": {
        "    rows = (kept": (
            '    head_dim = max(1, attention["q"].shape[1] * head_dim '
            '// len(attention["q"]))\n'
            "    rows = (kept"
        ),
    },
}
