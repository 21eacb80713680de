"""Solves in the dtype of w."""

LOSES = ["test_refit_columns"]
PATCHES = {
    "refit_columns": {
        "own = H[kept][:, kept]": ("H = H.to(w.dtype)\n    own = H[kept][:, kept]"),
        "torch.eye(len(kept)).double()": ("torch.eye(len(kept)).to(w)"),
        "w.double() @ H": ("w @ H"),
    },
}
