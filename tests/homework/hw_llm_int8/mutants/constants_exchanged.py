"""Lays the outputs' constants along the tokens."""

LOSES = ["test_rescale"]


def rescale(out, x_constants, w_constants):
    table = torch.outer(w_constants, x_constants)
    if table.shape != out.shape:
        table = table.T.flip(0)
    return out * table / 127**2
