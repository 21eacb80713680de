"""The same by einsum, gathered constants, exact fractions, queues and heaps."""

import bisect
import itertools
from collections import OrderedDict
from fractions import Fraction


def lora_forward(x, w, a, b, alpha):
    s = alpha / b.shape[1]
    return torch.einsum("tm,nm->tn", x, w) + torch.einsum("tm,rm,nr->tn", x, a * s, b)


def lora_backward(g, x, w, a, b, alpha):
    s = alpha / b.shape[1]
    by_x = torch.einsum("tn,nm->tm", g, w + s * (b @ a))
    by_a = torch.einsum("tn,nr,tm->rm", g, b, x) * s
    return by_x, by_a, torch.einsum("tn,rm,tm->nr", g, a, x) * s


def double_dequant(frozen):
    rows, cols = frozen["shape"]
    at = torch.arange(rows * cols)
    byte = frozen["packed"].int()[at // 2]
    codes = torch.where(at % 2 == 0, byte // 16, byte % 16)
    block = at // frozen["block"]
    c1 = frozen["c1"][block // frozen["nested"]]
    c = torch.take(frozen["levels2"], frozen["c2"].long()[block]) * c1
    c = c + frozen["mean"]
    return (torch.take(frozen["levels"], codes.long()) * c).reshape(rows, cols)


def qlora_forward(x, frozen, a, b, alpha):
    return (double_dequant(frozen) @ x.T + (alpha / len(a)) * b @ (a @ x.T)).T


def qlora_backward(g, x, frozen, a, b, alpha):
    s, gb = alpha / len(a), g @ b
    by_x = torch.addmm(g @ double_dequant(frozen), gb, a, alpha=s)
    return [by_x, (x.T @ gb).T * s, ((x @ a.T).T @ g).T * s]


def full_bytes(weights):
    each = {"weights": 16, "gradients": 16, "adam": 64}
    return {term: weights * bits // 8 for term, bits in each.items()}


def qlora_bytes(layers, products, others, rank, double):
    linear = learned = 0
    for _ in range(layers):
        for n, m in products:
            linear += n * m
            learned += n * rank + rank * m
    constant = Fraction(32, 64)
    if double:
        constant = Fraction(8, 64) + Fraction(32, 64 * 256)
    return {
        "adam": learned * 8,
        "gradients": learned * 2,
        "adapters": learned * 2,
        "others": others * 2,
        "constants": float(linear * constant / 8),
        "codes": linear // 2 if linear % 2 == 0 else linear / 2,
    }


def merged(w, a, b, alpha):
    return torch.addmm(w, b, a, alpha=alpha / len(a))


def changed_codes(w, a, b, alpha, levels, block):
    levels = levels.tolist()
    middles = [(x + y) / 2 for x, y in itertools.pairwise(levels)]
    before = w.flatten().tolist()
    after = merged(w, a, b, alpha).flatten().tolist()
    changed = 0
    for start in range(0, len(before), block):
        parts = before[start : start + block], after[start : start + block]
        constants = [max(map(abs, part)) or 1.0 for part in parts]
        for pair in zip(*parts, strict=True):
            old, new = (
                bisect.bisect_left(middles, value / c)
                for value, c in zip(pair, constants, strict=True)
            )
            changed += old != new
    return changed


def serve(x, w, adapters, which, alpha):
    base = x @ w.T
    rows = []
    for row, y, number in zip(x, base, which, strict=True):
        if number is not None:
            a, b = adapters[number]
            y = y + b @ (a @ row) * (alpha / len(a))
        rows.append(y)
    return torch.stack(rows)


def touch(here, page, room):
    pages, moves = OrderedDict.fromkeys(here), []
    new = page not in pages
    pages[page] = None
    pages.move_to_end(page)
    while len(pages) > room:
        moves.append(("out", pages.popitem(last=False)[0]))
    return list(pages), moves + [("in", page)] * new


def fewest_moves(touches, room):
    """Count the gaps between two touches that can be bridged, greedily by their end."""
    last, gaps = {}, []
    for at, page in enumerate(touches):
        if page in last:
            gaps.append((last[page], at))
        last[page] = at
    free = [0] * len(touches)  # places that bridges take at each touch
    kept = 0
    for start, end in gaps:  # by their ends
        inside = range(start + 1, end)
        if all(free[at] < room - 1 for at in inside):
            kept += 1
            for at in inside:
                free[at] += 1
    return len(touches) - kept
