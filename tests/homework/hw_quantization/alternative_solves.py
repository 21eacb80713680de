"""One column at a time; U from a triangular solve, levels from a clamped multiple."""


def find_grid(w, bits):
    low, high = (
        w.min(1)[0].minimum(torch.zeros((), dtype=w.dtype)),
        w.max(1)[0].maximum(torch.zeros((), dtype=w.dtype)),
    )
    step = (high - low) / (2**bits - 1)
    step = step + (step == 0)
    zero = torch.round(-low / step)
    return step.to(torch.float16).to(w.dtype)[:, None], zero[:, None]


def to_grid(w, scale, zero, bits):
    n = torch.round(w / scale)
    n = torch.maximum(n, -zero)
    n = torch.minimum(n, 2**bits - 1 - zero)
    return n * scale


def hessian(batches):
    count, total = 0, None
    for x in batches:
        part = torch.einsum("ti,tj->ij", x, x)
        total = part if total is None else total + part
        count += x.shape[0]
    return total * 2 / count


def inverse_factor(H, damping=0.01):
    d = torch.diagonal(H)
    live = d > 0
    A = H.clone()
    if live.any():
        lam = damping * d[live].mean()
        A[live, live] += lam
    A[~live, ~live] = 1.0
    flipped = A.flip(0, 1)
    L = torch.linalg.cholesky(flipped)
    U = L.flip(0, 1)  # A = U U^T, U upper
    return torch.linalg.solve_triangular(
        U, torch.eye(len(A), dtype=A.dtype), upper=True
    )


def round_block(w, U, scale, zero, bits):
    now, rounded, errors = w.clone(), torch.empty_like(w), torch.empty_like(w)
    for j in range(w.shape[1]):
        rounded[:, j : j + 1] = to_grid(now[:, j : j + 1], scale, zero, bits)
        errors[:, j] = (now[:, j] - rounded[:, j]) / U[j, j]
        now = now - errors[:, j : j + 1] * U[j].index_fill(0, torch.arange(j + 1), 0)
    return rounded, errors


def undo_order(rounded, order):
    back = torch.zeros_like(rounded)
    for k, column in enumerate(order.tolist()):
        back[:, column] = rounded[:, k]
    return back


def act_order(w, H):
    order = torch.tensor(sorted(range(len(H)), key=lambda j: -H[j, j].item()))
    return w[:, order], H[order][:, order], order
