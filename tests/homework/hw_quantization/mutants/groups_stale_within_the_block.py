"""Fits all groups of a block when the block begins: right only where block <= group."""

LOSES = ["test_gptq"]


def gptq(w, H, bits, group, block, damping=0.01):
    U = inverse_factor(H, damping).to(w.dtype)
    w, rounded = w.clone(), torch.zeros_like(w)
    run, grids = min(group, block), {}
    for start in range(0, w.shape[1], run):
        stop = start + run
        if start % block == 0:
            for first in range(start, start + block, group):
                if first % group == 0:
                    grids[first] = find_grid(w[:, first : first + group], bits)
        here = slice(start, stop)
        rounded[:, here], errors = round_block(
            w[:, here], U[here, here], *grids[start // group * group], bits
        )
        w[:, stop:] -= errors @ U[here, stop:]
    return rounded
