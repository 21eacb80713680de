"""By numpy's fp16, torch's GradScaler and optimizer, autograd, and views of bytes."""

import numpy as np


def fates(g, scale):
    with np.errstate(all="ignore"):
        h = (g.numpy().astype(np.float64) * scale).astype(np.float16)
    h = np.abs(h[g.numpy() != 0])
    tiny = np.finfo(np.float16).tiny
    places = h == 0, (h > 0) & (h < tiny), np.isinf(h)
    names = "zero", "subnormal", "infinite"
    means = [float(p.mean()) if p.size else 0.0 for p in places]
    return dict(zip(names, means, strict=True))


def static_scale(g):
    scale = 2.0**-60
    while not (g.double().abs().max() * scale * 2).float().half().isinf():
        scale *= 2
    return scale


def next_scale(scale, streak, found_inf, interval, lowest, highest):
    scaler = torch.amp.GradScaler("cpu", growth_interval=interval)
    kept = scaler.state_dict() | {"scale": 1.0, "_growth_tracker": streak}
    scaler.load_state_dict(kept)
    weight = torch.zeros(1, requires_grad=True)
    scaler.scale(weight)
    weight.grad = torch.tensor([float("inf") if found_inf else 1.0])
    scaler.step(torch.optim.SGD([weight], lr=1.0))
    scaler.update()
    scale *= scaler.get_scale()
    return min(max(scale, lowest), highest), scaler.state_dict()["_growth_tracker"]


def mixed_step(master, grads, scale, rate, clip):
    if any(g.isinf().any() or g.isnan().any() for g in grads):
        return master, [w.half() for w in master], True
    weights = [w.clone().requires_grad_() for w in master]
    for w, g in zip(weights, grads, strict=True):
        w.grad = g.float().div(scale)
    norm = torch.nn.utils.get_total_norm([w.grad for w in weights])
    if norm > clip:
        for w in weights:
            w.grad.mul_(clip / norm)
    torch.optim.SGD(weights, lr=rate).step()
    weights = [w.detach() for w in weights]
    return weights, [w.half() for w in weights], False


def linear(x, w, recipe):
    of_x, of_w = recipe["fprop"]
    return torch.nn.functional.linear(rounded(x, 1, of_x), rounded(w, 1, of_w))


def linear_backward(g, x, w, recipe):
    def gradient(which, g, *operands):
        with torch.enable_grad():
            leaves = [v.detach().requires_grad_() for v in operands]
            y = leaves[0] @ leaves[1].T
            return torch.autograd.grad(y, leaves[which], g)[0]

    of_g, of_w = recipe["dgrad"]
    by_x = gradient(0, rounded(g, -1, of_g), x, rounded(w, 0, of_w))
    of_g, of_x = recipe["wgrad"]
    return by_x, gradient(1, rounded(g, -2, of_g), rounded(x, -2, of_x), w)


def stochastic_bf16(x, noise):
    halves = x.contiguous().reshape(-1, 1).view(torch.uint16).int()  # low, high
    up = noise.flatten() >= 65536 - halves[:, 0]
    bits = (halves[:, 1] + up).to(torch.uint16)
    return bits.view(torch.bfloat16).reshape(x.shape)


def quantize_tiles(w, tile):
    codes = torch.empty(w.shape, dtype=torch.float8_e4m3fn)
    rows, cols = range(0, w.shape[0], tile), range(0, w.shape[1], tile)
    scales = torch.ones(len(rows), len(cols))
    for i, r in enumerate(rows):
        for j, c in enumerate(cols):
            part = w[r : r + tile, c : c + tile]
            largest, s = part.abs().max().item(), 1.0
            while largest > 448 * s:
                s *= 2
            while 0 < largest <= 224 * s:
                s /= 2
            scales[i, j] = s
            made = (part / s).to(torch.float8_e4m3fn)
            codes[r : r + tile, c : c + tile] = made
    return codes, scales


def dequantize_tiles(codes, scales, tile):
    bands = []
    for row, band in zip(scales, codes.split(tile), strict=True):
        parts = zip(row.tolist(), band.split(tile, 1), strict=True)
        bands.append(torch.cat([s * part.float() for s, part in parts], 1))
    return torch.cat(bands)


def split_master(w):
    halves = w.detach().numpy().reshape(-1, 1).view(np.int16)  # low, high
    low, high = torch.tensor(halves[:, 0]), torch.tensor(halves[:, 1])
    high = high + (low < 0).short()
    return high.view(torch.bfloat16).reshape(w.shape), low.reshape(w.shape)


def join_master(high, low):
    upper = high.contiguous().view(torch.int16).numpy() - (low < 0).numpy()
    halves = np.stack([low.numpy(), upper.astype(np.int16)], -1)
    return torch.tensor(halves.view(np.float32)).reshape(low.shape)
