"""The same along slower roads: loops over tokens, rows, heads, blocks and requests."""

import math


def token_bytes(config, bits):
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads") or heads
    d = config.get("head_dim") or config["hidden_size"] // heads
    one_layer = sum(kv_heads * d * bits for _ in ("key", "value"))
    return sum(one_layer for _ in range(config["num_hidden_layers"])) // 8


def requests_that_fit(memory, token, lengths, context, block):
    def admitted(sizes, room):
        for count, size in enumerate(sizes):
            if size > room:
                return count
            room -= size
        return len(sizes)

    pieces_of = [math.ceil(length / block) for length in lengths]
    reserved = admitted([1] * len(lengths), memory // token // context)
    return reserved, admitted(pieces_of, memory // token // block)


def rotate(x, positions, base):
    out, half = x.clone(), x.shape[-1] // 2
    for row, places in enumerate(positions.tolist()):
        for i, t in enumerate(places):
            for j in range(half):
                angle = t * base ** (-2 * j / (2 * half))
                a, b = x[row, i, :, j], x[row, i, :, j + half]
                out[row, i, :, j] = a * math.cos(angle) - b * math.sin(angle)
                out[row, i, :, j + half] = a * math.sin(angle) + b * math.cos(angle)
    return out


def attention(q, keys, values, lengths):
    n, m, heads, d = q.shape
    out = torch.zeros_like(q)
    for row in range(n):
        for i in range(m):
            seen = int(lengths[row]) - m + i + 1
            for head in range(heads):
                shared = head * keys.shape[2] // heads
                scores = keys[row, :seen, shared] @ q[row, i, head] / math.sqrt(d)
                weights = (scores - scores.max()).exp()
                mixed = weights @ values[row, :seen, shared] / weights.sum()
                out[row, i, head] = mixed
    return out


def cached_attention(q, k, v, keys, values, lengths, base):
    """One token at a time: each is written before it is asked for."""
    keys, values, out = keys.clone(), values.clone(), []
    for i in range(q.shape[1]):
        at = (lengths + i)[:, None]
        turned_k = rotate(k[:, i : i + 1], at, base)
        for row, place in enumerate(at[:, 0].tolist()):
            keys[row, place], values[row, place] = turned_k[row, 0], v[row, i]
        asked = rotate(q[:, i : i + 1], at, base)
        out.append(attention(asked, keys, values, lengths + i + 1))
    return torch.cat(out, 1), keys, values


def append(state, name, count, size):
    """Token by token; where one finds no room, nothing has happened."""
    tables = {n: list(t) for n, t in state["tables"].items()}
    readers, lengths = state["readers"].copy(), state["lengths"].copy()
    table, copies, slots = tables.setdefault(name, []), [], []
    for _ in range(count):
        length = lengths.get(name, 0)
        if length == len(table) * size:
            if 0 not in readers:
                return None
            table.append(readers.index(0))
            readers[table[-1]] = 1
        elif readers[table[-1]] > 1:
            if 0 not in readers:
                return None
            copy = readers.index(0)
            copies.append((table[-1], copy))
            readers[table[-1]] -= 1
            readers[copy], table[-1] = 1, copy
        slots.append(table[length // size] * size + length % size)
        lengths[name] = length + 1
    return dict(readers=readers, tables=tables, lengths=lengths), copies, slots


def fork(state, name, other):
    tables = {**state["tables"], other: state["tables"][name][:]}
    lengths = {**state["lengths"], other: state["lengths"][name]}
    return {"readers": counted(state, tables), "tables": tables, "lengths": lengths}


def free(state, name):
    tables, lengths = dict(state["tables"]), dict(state["lengths"])
    del tables[name], lengths[name]
    return {"readers": counted(state, tables), "tables": tables, "lengths": lengths}


def counted(state, tables):
    """The readers of each block, counted anew."""
    blocks = [block for table in tables.values() for block in table]
    return [blocks.count(block) for block in range(len(state["readers"]))]


def pieces(running, budget):
    writers = {name: 1 for name, _, pending in running if pending == 1}
    readers = {}
    for name, _, pending in running:
        left = budget - sum(readers.values())
        if pending > 1 and left > 0:
            readers[name] = pending if pending < left else left
    return writers | readers


def schedule(running, waiting, free, size, batch, budget):
    """Try all, then all but the last, and so on: the first that fits."""
    room = batch - len(running)
    everybody = [*running, *waiting[: max(room, 0)]]
    behind = waiting[max(room, 0) :]
    for stay in range(len(everybody), 0, -1):
        kept, gone = everybody[:stay], everybody[stay:]
        taken = pieces(kept, budget)
        after = sum(math.ceil((c + taken.get(n, 0)) / size) for n, c, _ in kept)
        if after <= free + sum(math.ceil(c / size) for _, c, _ in everybody):
            back = [(name, 0, cached + pending) for name, cached, pending in gone]
            return kept, back + behind, taken
    return [], [*everybody, *behind], {}


def quantize_cache(keys, values, bits, group):
    """Number by number for keys, and values along the channels too, row by row."""
    keys = keys.clone()
    for start in range(0, len(keys) - group + 1, group):
        for head in range(keys.shape[1]):
            for j in range(keys.shape[2]):
                run = keys[start : start + group, head, j]
                keys[start : start + group, head, j] = nearest_levels(run, bits)
    flat = values.reshape(-1, group)
    rows = [nearest_levels(row, bits) for row in flat]
    return keys, torch.stack(rows).view(values.shape)


def nearest_levels(run, bits):
    """Each number's nearest level, by the distances to all of them."""
    levels = torch.linspace(run.min().item(), run.max().item(), 2**bits)
    return levels[(run[:, None] - levels).abs().argmin(1)]
