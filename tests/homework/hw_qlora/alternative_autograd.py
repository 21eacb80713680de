"""Gradients by autograd, which is slower and right; the bonus by lists of turns."""


def lora_backward(g, x, w, a, b, alpha):
    with torch.enable_grad():
        leaves = [v.detach().clone().requires_grad_() for v in (x, a, b)]
        y = lora_forward(leaves[0], w.detach(), *leaves[1:], alpha)
        return torch.autograd.grad(y, leaves, g)


def qlora_backward(g, x, frozen, a, b, alpha):
    with torch.enable_grad():
        leaves = [v.detach().clone().requires_grad_() for v in (x, a, b)]
        y = qlora_forward(leaves[0], frozen, *leaves[1:], alpha)
        y.backward(g)
    return tuple(leaf.grad for leaf in leaves)


def fewest_moves(touches, room):
    turns = {}
    for at, page in enumerate(touches):
        turns.setdefault(page, []).append(at)
    here, count = set(), 0
    for page in touches:
        turns[page].pop(0)
        if page in here:
            continue
        count += 1
        if len(here) >= room:
            here.remove(max(here, key=lambda p: turns[p][0] if turns[p] else 10**9))
        here.add(page)
    return count
