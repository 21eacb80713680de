"""Passes on w − ŵ, not divided by U_jj."""

LOSES = ["test_round_block", "test_gptq", "test_act_order"]


def round_block(w, U, scale, zero, bits):
    w = w.clone()
    rounded, errors = torch.zeros_like(w), torch.zeros_like(w)
    for j in range(w.shape[1]):
        rounded[:, j] = to_grid(w[:, j : j + 1], scale, zero, bits)[:, 0]
        errors[:, j] = w[:, j] - rounded[:, j]
        w[:, j + 1 :] -= torch.outer(errors[:, j], U[j, j + 1 :])
    return rounded, errors
