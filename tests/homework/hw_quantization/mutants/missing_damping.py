"""Inverts H as it is: no damping, and no rescue for dead features."""

LOSES = ["test_hessian", "test_act_order", "bonus_outliers"]


def inverse_factor(H, damping=0.01):
    return torch.linalg.cholesky(torch.linalg.pinv(H), upper=True)
