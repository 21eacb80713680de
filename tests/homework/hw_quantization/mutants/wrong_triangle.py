"""Takes the lower factor of the inverse, transposed into the upper triangle's place."""

LOSES = ["test_hessian", "bonus_outliers"]


def inverse_factor(H, damping=0.01):
    diagonal = H.diagonal()
    dead = diagonal == 0
    extra = torch.where(dead, 1.0, damping * diagonal[~dead].mean())
    return torch.linalg.cholesky(torch.linalg.inv(H + torch.diag(extra)))
