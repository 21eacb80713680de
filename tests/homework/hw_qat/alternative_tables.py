"""Bits by numpy's packing, counts and trits by tables of bytes."""

import itertools

import numpy as np


def binarize(x):
    b = torch.ones_like(x)
    b[x < 0] = -1
    return b


def pack_signs(x):
    bits = np.packbits((x >= 0).numpy(), axis=1, bitorder="little")
    full = np.zeros((len(bits), -(-bits.shape[1] // 8) * 8), dtype=np.uint8)
    full[:, : bits.shape[1]] = bits
    return torch.from_numpy(full.view(np.int64))


def xnor_product(a, b, n):
    ones = torch.tensor([bin(byte).count("1") for byte in range(256)])
    mask = pack_signs(torch.ones(1, n))
    equal = ~(a[:, None] ^ b[None]) & mask
    return 2 * ones[equal.contiguous().view(torch.uint8).long()].sum(-1) - n


def trit_table():
    digits = [tuple(reversed(x)) for x in itertools.product((-1, 0, 1), repeat=5)]
    return torch.tensor(digits, dtype=torch.int8)  # row b holds the trits of byte b


def pack_trits(t):
    table = {tuple(row): byte for byte, row in enumerate(trit_table().tolist())}
    rows = []
    for row in t.tolist():
        row += [0] * (-len(row) % 5)
        rows.append([table[tuple(row[i : i + 5])] for i in range(0, len(row), 5)])
    return torch.tensor(rows).byte()


def unpack_trits(packed, cols):
    return trit_table()[packed.int()].reshape(len(packed), -1)[:, :cols]


def ternary(w):
    gamma = w.abs().mean(dtype=torch.float64).float()
    t = torch.zeros_like(w, dtype=torch.int8)
    t[w > gamma / 2] = 1
    t[w < -gamma / 2] = -1
    return t, gamma


def distillation_loss(student, teacher, real):
    log_p, log_q = teacher[real].log_softmax(-1), student[real].log_softmax(-1)
    divergence = torch.nn.functional.kl_div(
        log_q, log_p, reduction="batchmean", log_target=True
    )
    return divergence - (log_p.exp() * log_p).sum(-1).mean()


def best_ternary(w):
    """The best threshold: each distinct |w| is tried."""
    size, place = w.double().abs().unique(return_inverse=True)
    many = torch.zeros_like(size).scatter_add_(0, place, torch.ones(len(w)).double())
    sums, counts = (many * size).flip(0).cumsum(0), many.flip(0).cumsum(0)
    at = int((sums**2 / counts).argmax())
    least = size.flip(0)[at]
    t = torch.where(w.double().abs() >= least, w.sign(), torch.zeros(()))
    return t.char(), (sums[at] / counts[at]).float()
