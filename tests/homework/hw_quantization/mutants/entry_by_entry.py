"""Writes ⊙ where a matrix product is meant, in the update of what lies to the right."""

LOSES = ["test_gptq", "test_act_order"]


def gptq(w, H, bits, group, block, damping=0.01):
    U = inverse_factor(H, damping).to(w.dtype)
    w, rounded = w.clone(), torch.zeros_like(w)
    run = min(group, block)
    for start in range(0, w.shape[1], run):
        stop = start + run
        if start % group == 0:
            scale, zero = find_grid(w[:, start : start + group], bits)
        here = slice(start, stop)
        rounded[:, here], errors = round_block(
            w[:, here], U[here, here], scale, zero, bits
        )
        for k in range(stop, w.shape[1]):
            w[:, k] -= (errors * errors * U[here, k]).sum(1)
    return rounded
