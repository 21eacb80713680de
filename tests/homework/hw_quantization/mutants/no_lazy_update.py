"""Cancels inside the block, and forgets the columns beyond it."""

LOSES = ["test_gptq"]


def gptq(w, H, bits, group, block, damping=0.01):
    U = inverse_factor(H, damping).to(w.dtype)
    rounded, run = torch.zeros_like(w), min(group, block)
    for start in range(0, w.shape[1], run):
        if start % group == 0:
            scale, zero = find_grid(w[:, start : start + group], bits)
        here = slice(start, start + run)
        rounded[:, here], _ = round_block(w[:, here], U[here, here], scale, zero, bits)
    return rounded
