"""Factors H itself, and not its inverse."""

LOSES = ["test_hessian", "test_gptq", "test_act_order", "bonus_outliers"]


def inverse_factor(H, damping=0.01):
    diagonal = H.diagonal()
    dead = diagonal == 0
    extra = torch.where(dead, 1.0, damping * diagonal[~dead].mean())
    return torch.linalg.cholesky(H + torch.diag(extra), upper=True)
