"""As matrices: a rotation matrix a token, one-hot writes, a table of all slots."""

import math


def token_bytes(config, bits):
    heads = config["num_attention_heads"]
    d = config["head_dim"] if "head_dim" in config else config["hidden_size"] // heads
    heads = config.get("num_key_value_heads", heads)
    return math.prod([2, config["num_hidden_layers"], heads, d, bits]) // 8


def requests_that_fit(memory, token, lengths, context, block):
    room = memory // (token * block) * block  # tokens, in whole blocks
    padded = torch.tensor([length + -length % block for length in lengths])
    reserved = min(len(lengths), memory // (token * context))
    return reserved, int((padded.cumsum(0) <= room).sum())


def rotate(x, positions, base):
    d = x.shape[-1]
    half = d // 2
    frequencies = torch.exp(-math.log(base) * 2 * torch.arange(half).double() / d)
    angles = positions[..., None].double() * frequencies
    cos, sin = torch.diag_embed(angles.cos()), torch.diag_embed(angles.sin())
    matrix = torch.cat((torch.cat((cos, -sin), -1), torch.cat((sin, cos), -1)), -2)
    return (matrix[:, :, None] @ x.double()[..., None])[..., 0].float()


def attention(q, keys, values, lengths):
    n, m, heads, d = q.shape
    kv_heads = keys.shape[2]
    grouped = q.view(n, m, kv_heads, heads // kv_heads, d).permute(0, 2, 3, 1, 4)
    k = keys.permute(0, 2, 3, 1)[:, :, None]  # (n, kv, 1, d, room)
    v = values.permute(0, 2, 1, 3)[:, :, None]
    scores = grouped @ k / math.sqrt(d)  # (n, kv, g, m, room)
    ages = torch.arange(keys.shape[1]).view(1, 1, -1) - lengths.view(-1, 1, 1)
    allowed = ages <= torch.arange(m).view(1, -1, 1) - m
    weights = scores.masked_fill(~allowed[:, None, None], -1e30).softmax(-1)
    return (weights @ v).permute(0, 3, 1, 2, 4).reshape(n, m, heads, d)


def cached_attention(q, k, v, keys, values, lengths, base):
    m, room = q.shape[1], keys.shape[1]
    positions = lengths.unsqueeze(1) + torch.arange(m).unsqueeze(0)
    places = torch.nn.functional.one_hot(positions, room).float()  # (n, m, room)
    fresh = places.sum(1)[:, :, None, None] > 0
    new_k = torch.einsum("nmr,nmhd->nrhd", places, rotate(k, positions, base))
    new_v = torch.einsum("nmr,nmhd->nrhd", places, v)
    keys, values = torch.where(fresh, new_k, keys), torch.where(fresh, new_v, values)
    asked = rotate(q, positions, base)
    return attention(asked, keys, values, lengths + m), keys, values


def append(state, name, count, size):
    readers = dict(enumerate(state["readers"]))
    table = (*state["tables"].get(name, ()),)
    length = state["lengths"].get(name, 0)
    wanted, copies = math.ceil((length + count) / size), []
    shared = length < len(table) * size and readers[table[-1]] >= 2
    keep = table[:-1] if shared else table
    found = [block for block in readers if readers[block] == 0][: wanted - len(keep)]
    if len(found) < wanted - len(keep):
        return None
    if shared:
        copies = [(table[-1], found[0])]
        readers[table[-1]] -= 1
    table = [*keep, *found]
    readers |= dict.fromkeys(found, 1)
    slots = (torch.tensor(table)[:, None] * size + torch.arange(size)).flatten()
    after = {
        "readers": list(readers.values()),
        "tables": dict(state["tables"], **{name: table}),
        "lengths": dict(state["lengths"], **{name: length + count}),
    }
    return after, copies, slots[length : length + count].tolist()


def fork(state, name, other):
    marks = torch.zeros(len(state["readers"]), dtype=torch.int64)
    marks[state["tables"][name]] = 1
    new = {part: state[part].copy() for part in state}
    new["readers"] = (torch.tensor(state["readers"]) + marks).tolist()
    new["tables"][other] = list(new["tables"][name])
    new["lengths"][other] = new["lengths"][name]
    return new


def free(state, name):
    new = {part: state[part].copy() for part in state}
    for block in new["tables"].pop(name):
        new["readers"][block] -= 1
    del new["lengths"][name]
    return new


def pieces(running, budget):
    taken = {name: min(pending, 1) for name, _, pending in running if pending < 2}
    for name, _, pending in filter(lambda request: request[2] > 1, running):
        taken[name] = min(pending, budget)
        budget = max(0, budget - pending)
    return {name: count for name, count in taken.items() if count}


def schedule(running, waiting, free, size, batch, budget):
    line = [*running, *waiting]
    last = max(len(running), min(batch, len(line)))
    held = [-(-cached // size) for _, cached, _ in line]
    total = free + sum(held)
    while True:
        taken = pieces(line[:last], budget)
        need = [-(-(c + taken.get(n, 0)) // size) for n, c, _ in line[:last]]
        if sum(need) <= total:
            break
        last -= 1
    back = [(name, 0, c + pending) for name, c, pending in line[last:]]
    return line[:last], back, taken


def quantize_cache(keys, values, bits, group):
    runs = keys.transpose(0, -1).split(group, -1)
    back = [by_codes(r, bits) if r.shape[-1] == group else r for r in runs]
    keys = torch.cat(back, -1).transpose(0, -1)
    runs = [by_codes(run, bits) for run in values.split(group, -1)]
    return keys, torch.cat(runs, -1)


def by_codes(x, bits):
    """Through codes, counted from the largest number down."""
    high, low = x.amax(-1, keepdim=True), x.amin(-1, keepdim=True)
    step = (high - low).div(2**bits - 1)
    codes = torch.nan_to_num((high - x) / step).round()
    return high - codes * step
