"""Takes it for granted that there are biases."""

LOSES = ["test_cut_mlp"]
PATCHES = {
    "cut_mlp": {
        ("        if name in cut:\n            cut[name] = cut[name][kept]"): (
            "        cut[name] = cut[name][kept]"
        ),
    },
}
