"""Factors H itself, and not its inverse."""

LOSES = ["test_hessian", "bonus_outliers"]
PATCHES = {
    "inverse_factor": {
        "torch.linalg.inv(H + torch.diag(extra))": "H + torch.diag(extra)",
    },
}
