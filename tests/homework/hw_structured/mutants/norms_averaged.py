"""L2 over tokens, and the mean over sequences."""

LOSES = ["test_neuron_importance"]
PATCHES = {
    "neuron_importance": {
        "x.abs().mean(1).norm(dim=0)": ("x.norm(dim=1).mean(0)"),
    },
}
