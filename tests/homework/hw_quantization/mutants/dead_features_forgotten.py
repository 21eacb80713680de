"""Damps well, but lets dead features pull the mean down and keep a zero diagonal."""

LOSES = ["test_hessian"]


def inverse_factor(H, damping=0.01):
    extra = (damping * H.diagonal().mean()).expand(len(H))
    return torch.linalg.cholesky(torch.linalg.inv(H + torch.diag(extra)), upper=True)
