"""Cuts the bias of down, whose outputs all stay."""

LOSES = ["test_cut_mlp"]
PATCHES = {
    "cut_mlp": {
        '    cut["down"] = cut["down"][:, kept]': (
            '    cut["down"] = cut["down"][:, kept]\n'
            '    if "down_bias" in cut:\n'
            '        cut["down_bias"] = cut["down_bias"][: len(kept)]'
        ),
    },
}
