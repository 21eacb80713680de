"""What a practitioner would call: complex numbers, PyTorch's own attention, Counter."""

from collections import Counter
from itertools import accumulate

from torch.nn.functional import scaled_dot_product_attention


def token_bytes(config, bits):
    config = {"num_key_value_heads": config["num_attention_heads"], **config}
    d = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    numbers = d * config["num_key_value_heads"] * config["num_hidden_layers"]
    return numbers * bits // 4


def requests_that_fit(memory, token, lengths, context, block):
    tokens = memory // token
    blocks = accumulate((length + block - 1) // block for length in lengths)
    in_blocks = sum(1 for total in blocks if total <= tokens // block)
    return min(tokens // context, len(lengths)), in_blocks


def rotate(x, positions, base):
    half = x.shape[-1] // 2
    frequencies = base ** -torch.linspace(0, 1, half + 1, dtype=torch.float64)[:-1]
    angles = positions.double()[:, :, None, None] * frequencies
    points = torch.complex(x[..., :half].double(), x[..., half:].double())
    points = points * torch.polar(torch.ones_like(angles), angles)
    return torch.cat((points.real, points.imag), -1).to(x.dtype)


def attention(q, keys, values, lengths):
    m, room = q.shape[1], keys.shape[1]
    ends = lengths[:, None] - m + 1 + torch.arange(m)
    seen = torch.arange(room)[None, None] < ends[:, :, None]
    q, keys, values = (x.transpose(1, 2) for x in (q, keys, values))
    out = scaled_dot_product_attention(
        q, keys, values, attn_mask=seen[:, None], enable_gqa=True
    )
    return out.transpose(1, 2)


def cached_attention(q, k, v, keys, values, lengths, base):
    """Writes by scatter, and by gather asks for nothing."""
    m = q.shape[1]
    positions = torch.stack([lengths + i for i in range(m)], 1)
    index = positions[:, :, None, None].expand(k.shape)
    keys = keys.scatter(1, index, rotate(k, positions, base))
    values = values.scatter(1, index, v)
    turned_q = rotate(q, positions, base)
    return attention(turned_q, keys, values, lengths + m), keys, values


def append(state, name, count, size):
    table = state["tables"].get(name, [])[:]
    start = state["lengths"].get(name, 0)
    unused = sorted(b for b, n in enumerate(state["readers"]) if not n)
    copies = []
    try:
        if start % size and state["readers"][table[-1]] != 1:
            copies = [(table[-1], unused.pop(0))]
            table[-1] = copies[0][1]
        while len(table) * size < start + count:
            table.append(unused.pop(0))
    except IndexError:
        return None
    tables = {**state["tables"], name: table}
    counts = Counter(block for blocks in tables.values() for block in blocks)
    new = {
        "lengths": {**state["lengths"], name: start + count},
        "readers": [counts[block] for block in range(len(state["readers"]))],
        "tables": tables,
    }
    every = [block * size + place for block in table for place in range(size)]
    return new, copies, every[start : start + count]


def fork(state, name, other):
    counts = Counter(dict(enumerate(state["readers"]))) + Counter(state["tables"][name])
    return {
        "readers": [counts[block] for block in range(len(state["readers"]))],
        "tables": state["tables"] | {other: state["tables"][name].copy()},
        "lengths": state["lengths"] | {other: state["lengths"][name]},
    }


def free(state, name):
    gone = Counter(state["tables"][name])
    tables, lengths = state["tables"].copy(), state["lengths"].copy()
    tables.pop(name)
    lengths.pop(name)
    readers = [n - gone[block] for block, n in enumerate(state["readers"])]
    return {"readers": readers, "tables": tables, "lengths": lengths}


def pieces(running, budget):
    reading = [pending if pending > 1 else 0 for _, _, pending in running]
    before = [0, *accumulate(reading)]
    taken = {}
    for (name, _, pending), used in zip(running, before, strict=False):
        count = 1 if pending == 1 else min(pending, max(0, budget - used))
        if count:
            taken[name] = count
    return taken


def schedule(running, waiting, free, size, batch, budget):
    """By recursion: let in, and where it does not fit, without the last."""

    def blocks(tokens):
        return (tokens + size - 1) // size

    seats = max(0, batch - len(running))
    running, waiting = running + waiting[:seats], waiting[seats:]

    def planned(running, waiting, free):
        taken = pieces(running, budget)
        grown = [(c, c + taken.get(name, 0)) for name, c, _ in running]
        if sum(blocks(new) - blocks(old) for old, new in grown) <= free:
            return running, waiting, taken
        *others, (name, cached, pending) = running
        again = (name, 0, cached + pending)
        return planned(others, [again, *waiting], free + blocks(cached))

    return planned(running, waiting, free)


def quantize_cache(keys, values, bits, group):
    """Keys run by run of tokens, in float64; values with their axes exchanged."""
    runs = [
        rounded(run, bits, 0) if len(run) == group else run for run in keys.split(group)
    ]
    grouped = values.unflatten(-1, (-1, group))
    return torch.cat(runs), rounded(grouped, bits, -1).view(values.shape)


def rounded(x, bits, axis):
    """x in 2^bits levels between the ends of its range along an axis."""
    low, high = x.double().aminmax(dim=axis, keepdim=True)
    step = ((high - low) / (2**bits - 1)).clamp(min=1e-300)
    return (low + step * torch.round((x - low) / step)).float()
