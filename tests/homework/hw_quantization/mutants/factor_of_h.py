"""Factors H itself, and not its inverse."""

LOSES = ["test_hessian", "test_gptq", "test_act_order", "bonus_outliers"]
PATCHES = {
    "inverse_factor": {
        "torch.linalg.inv(H + torch.diag(extra))": "H + torch.diag(extra)",
    },
}
