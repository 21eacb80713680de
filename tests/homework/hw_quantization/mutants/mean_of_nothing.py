"""Takes the mean over live features where there are none."""

LOSES = ["test_hessian"]


def inverse_factor(H, damping=0.01):
    H = H.clone()
    dead = H.diagonal() == 0
    H = H + damping * H.diagonal()[~dead].mean() * torch.eye(len(H), dtype=H.dtype)
    H[dead, dead] = 1
    return torch.linalg.cholesky(torch.linalg.inv(H), upper=True)
