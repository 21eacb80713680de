"""Cuts keys and values as well, by the numbers of query heads."""

LOSES = ["test_cut_heads"]
PATCHES = {
    "cut_heads": {
        '    cut["o"] =': (
            '    few = rows[rows < len(cut["k"])]\n'
            '    cut |= {name: cut[name][few] for name in "kv"}\n'
            '    cut["o"] ='
        ),
    },
}
