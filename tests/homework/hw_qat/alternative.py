"""Slopes row by row, bits as Python's integers, trits by division, loops."""

import math


def binarize(x):
    return 1.0 - 2.0 * (x < 0).float()


def binarize_randomly(x, u):
    return 2.0 * (x > 2 * u - 1).float() - 1.0


def ste(g, x):
    return g.masked_fill((x > 1) | (x < -1), 0.0)


def fake_quantize(w, s, bits):
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    rows = []
    for row, step in zip(w, s, strict=True):
        rows.append(torch.clip(torch.round(row / step), low, high) * step)
    return torch.stack(rows)


def lsq_backward(g, w, s, bits):
    qn, qp = 2 ** (bits - 1), 2 ** (bits - 1) - 1
    rows, cols = w.shape
    by_w, by_s = torch.empty_like(w), torch.empty_like(s)
    for i in range(rows):
        v = w[i] / s[i]
        below, above = v < -qn, v > qp
        slope = v.round() - v
        slope[below], slope[above] = -qn, qp
        by_w[i] = g[i] * (~below & ~above)
        by_s[i] = (g[i] @ slope) / math.sqrt(cols * qp)
    return by_w, by_s


def pack_signs(x):
    rows = []
    for row in x.tolist():
        whole = sum(1 << k for k, value in enumerate(row) if value >= 0)
        size = -(-len(row) // 64) * 8
        parts = whole.to_bytes(size, "little")
        rows.append(
            [
                int.from_bytes(parts[at : at + 8], "little", signed=True)
                for at in range(0, size, 8)
            ]
        )
    return torch.tensor(rows)


def whole(row, n):
    number = 0
    for word in reversed(row):
        number = number << 64 | word & (1 << 64) - 1
    return number & (1 << n) - 1


def xnor_product(a, b, n):
    left = [whole(row, n) for row in a.tolist()]
    right = [whole(row, n) for row in b.tolist()]
    return torch.tensor([[n - 2 * (x ^ y).bit_count() for y in right] for x in left])


def ternary(w):
    gamma = w.double().abs().sum() / w.numel()
    if gamma == 0:
        return torch.zeros(w.shape, dtype=torch.int8), torch.tensor(0.0)
    large = w.double().abs() > gamma / 2
    return torch.where(large, w.sign(), 0).to(torch.int8), gamma.float()


def pack_trits(t):
    rows = []
    for row in t.tolist():
        made = []
        for at in range(0, len(row), 5):
            byte = 121  # five zeros
            for k, trit in enumerate(row[at : at + 5]):
                byte += trit * 3**k
            made.append(byte)
        rows.append(made)
    return torch.tensor(rows, dtype=torch.uint8)


def unpack_trits(packed, cols):
    rest, digits = packed.to(torch.int16), []
    for _ in range(5):
        digits.append(rest % 3 - 1)
        rest = rest // 3
    whole_rows = torch.stack(digits, -1).reshape(len(packed), -1)
    return whole_rows[:, :cols].to(torch.int8)


def distillation_loss(student, teacher, real):
    total, count = 0.0, 0
    for s, t in zip(student[real].double(), teacher[real].double(), strict=True):
        total += torch.logsumexp(s, 0) - (t.softmax(0) * s).sum()
        count += 1
    return (total / count).float()


def distillation_backward(student, teacher, real):
    count = int(real.sum())
    made = (student.softmax(-1) - teacher.softmax(-1)) / count
    return torch.where(real[..., None], made, torch.zeros(()))


def best_ternary(w):
    order = sorted(range(len(w)), key=lambda i: -abs(float(w[i])))
    values = w.tolist()
    best, total, keep, scale = -1.0, 0.0, 0, 0.0
    for k, i in enumerate(order, 1):
        total += abs(values[i])
        if total * total / k > best:
            best, keep, scale = total * total / k, k, total / k
    t = [0] * len(values)
    for i in order[:keep]:
        t[i] = (values[i] > 0) - (values[i] < 0)
    return torch.tensor(t, dtype=torch.int8), torch.tensor(scale)
