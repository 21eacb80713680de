"""The effective weight in float64, rows split by adapter; the scale moved onto B."""


def effective(w, a, b, alpha):
    return w.double() + b.double() * (alpha / len(a)) @ a.double()


def lora_forward(x, w, a, b, alpha):
    return (x.double() @ effective(w, a, b, alpha).T).to(x.dtype)


def lora_backward(g, x, w, a, b, alpha):
    by_w = g.double().T @ x.double() * (alpha / len(a))  # the gradient of W, times s
    by_x = g.double() @ effective(w, a, b, alpha)
    return by_x.float(), (b.double().T @ by_w).float(), (by_w @ a.double().T).float()


def double_dequant(frozen):
    high, low = frozen["packed"] // 16, frozen["packed"] % 16
    codes = torch.stack((high, low), -1).reshape(-1)
    constants = []
    second = frozen["c2"].split(frozen["nested"])
    for c1, part in zip(frozen["c1"], second, strict=True):
        constants.append(frozen["levels2"][part.int()] * c1)
    constants = torch.cat(constants) + frozen["mean"]
    count = frozen["shape"][0] * frozen["shape"][1]
    values = frozen["levels"][codes[:count].int()]
    padded = torch.nn.functional.pad(values, (0, -count % frozen["block"]))
    blocks = padded.view(len(constants), -1) * constants[:, None]
    return blocks.flatten()[:count].view(frozen["shape"])


def serve(x, w, adapters, which, alpha):
    y = x @ w.T
    for i, number in enumerate(which):
        if number is not None:
            y[i] = (effective(w, *adapters[number], alpha) @ x[i].double()).float()
    return y


def merged(w, a, b, alpha):
    return effective(w, a, b, alpha).to(w.dtype)


def touch(here, page, room):
    here, moves, known = list(here), [], page in here
    if known:
        here.remove(page)
    here.append(page)
    while len(here) > room:
        moves.append(("out", here.pop(0)))
    if not known:
        moves.append(("in", page))
    return here, moves
