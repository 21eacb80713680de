"""Takes the size of the mean activation."""

LOSES = ["test_neuron_importance"]
PATCHES = {
    "neuron_importance": {
        "x.abs().mean(1)": ("x.mean(1)"),
    },
}
