"""Changes the damping that is meant where none is given."""

LOSES = ["test_hessian"]


def inverse_factor(H, damping=0.1):
    diagonal = H.diagonal()
    dead = diagonal == 0
    extra = torch.where(dead, 1.0, damping * diagonal[~dead].mean())
    return torch.linalg.cholesky(torch.linalg.inv(H + torch.diag(extra)), upper=True)
