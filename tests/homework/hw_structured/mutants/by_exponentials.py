"""Computes with α instead of log α: infinity over infinity."""

LOSES = ["test_sample_gates"]
PATCHES = {
    "sample_gates": {
        ("torch.sigmoid((u.log() - (1 - u).log() + log_alpha) / BETA)"): (
            "(u / (1 - u) * log_alpha.exp()) ** (1 / BETA)\n    s = s / (1 + s)"
        ),
    },
}
