"""Takes damping as a number of its own, not as a share of the mean diagonal."""

LOSES = ["test_hessian", "bonus_outliers"]


def inverse_factor(H, damping=0.01):
    dead = H.diagonal() == 0
    extra = torch.where(dead, 1.0, torch.full_like(H.diagonal(), damping))
    return torch.linalg.cholesky(torch.linalg.inv(H + torch.diag(extra)), upper=True)
