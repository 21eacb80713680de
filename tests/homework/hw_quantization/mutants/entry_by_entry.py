"""Writes ⊙ where a matrix product is meant, in the update of what lies to the right."""

LOSES = ["test_gptq"]
PATCHES = {
    "gptq": {
        "w[:, stop:] -= errors @ U[here, stop:]": """for k in range(stop, w.shape[1]):
            w[:, k] -= (errors * errors * U[here, k]).sum(1)""",
    },
}
