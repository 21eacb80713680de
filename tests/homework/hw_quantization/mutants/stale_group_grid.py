"""Fits every group's grid to the original weights, before any correction."""

LOSES = ["test_gptq"]


def gptq(w, H, bits, group, block, damping=0.01):
    U = inverse_factor(H, damping).to(w.dtype)
    original, w, rounded = w, w.clone(), torch.zeros_like(w)
    run = min(group, block)
    for start in range(0, w.shape[1], run):
        stop = start + run
        if start % group == 0:
            scale, zero = find_grid(original[:, start : start + group], bits)
        here = slice(start, stop)
        rounded[:, here], errors = round_block(
            w[:, here], U[here, here], scale, zero, bits
        )
        w[:, stop:] -= errors @ U[here, stop:]
    return rounded
