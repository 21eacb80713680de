"""Takes the range of each output of W instead of each feature's."""

LOSES = ["test_smoothing_factors"]


def smoothing_factors(x, w, alpha):
    x_max = x.abs().amax(0)
    w_max = w.abs().amax(1).mean().expand(x.shape[1])
    alive = (x_max > 0) & (w.abs().amax(0) > 0)
    return torch.where(alive, x_max**alpha / w_max ** (1 - alpha), 1.0)
