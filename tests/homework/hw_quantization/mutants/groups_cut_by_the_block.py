"""Cuts groups relative to the block: a group longer than a block is cut short."""

LOSES = ["test_gptq"]


def gptq(w, H, bits, group, block, damping=0.01):
    U = inverse_factor(H, damping).to(w.dtype)
    w, rounded = w.clone(), torch.zeros_like(w)
    run = min(group, block)
    for start in range(0, w.shape[1], run):
        here = slice(start, start + run)
        scale, zero = find_grid(w[:, here], bits)
        rounded[:, here], errors = round_block(
            w[:, here], U[here, here], scale, zero, bits
        )
        w[:, start + run :] -= errors @ U[here, start + run :]
    return rounded
