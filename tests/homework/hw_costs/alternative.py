"""Right answers written another way: fractions, searches and running sums."""

import math
from fractions import Fraction


def weights_gb(parameters, bits, group):
    total = Fraction(parameters) * Fraction(bits)
    if group:
        total += Fraction(parameters) * 16 / group
    return float(total / 8_000_000_000)


def requests_that_fit(memory, weights, token, tokens):
    layers, heads, head_dim, cache_bits = token
    need = Fraction(layers * heads * head_dim * cache_bits * tokens, 4)
    room = Fraction(memory - weights)
    return 0 if room < need else math.floor(room / need)


def bill(calls, read, written, read_price, written_price):
    reading = calls * read / 1e6 * read_price
    writing = calls * written / 1e6 * written_price
    return reading + writing


def footprint(runs, pue, kg_per_kwh):
    hours = kwh = tonnes = 0.0
    for gpu_hours, watts in runs:
        hours += gpu_hours
        kwh += gpu_hours * (watts / 1000) * pue
        tonnes += gpu_hours * (watts / 1e6) * pue * kg_per_kwh
    return hours, kwh, tonnes


def layer_time(tokens, inputs, outputs, bits, machine):
    bandwidth, peak = machine
    w, a = (b / 8 for b in bits)
    moved = w * inputs * outputs + a * tokens * inputs + a * tokens * outputs
    operations = 2.0 * inputs * outputs * tokens
    if operations / moved > peak / bandwidth:  # more a byte than at the ridge
        return operations / peak, "compute"
    return moved / bandwidth, "memory"


def turning_tokens(inputs, outputs, bits, machine):
    ridge = Fraction(machine[1]) / Fraction(machine[0])
    w, a = (Fraction(b) / 8 for b in bits)
    slack = 2 * inputs * outputs - a * ridge * (inputs + outputs)
    return float(inputs * outputs * w * ridge / slack) if slack > 0 else math.inf


def tokens_to_pay_back(one_time, hourly, before, after):
    won = after - before  # tokens a second that cost nothing more
    if won <= 0:
        return math.inf
    seconds = one_time / hourly * 3600 * before / won
    return seconds * after


def largest_batch(model, machine, context, limit_ms):
    parameters, bandwidth = model["parameters"], machine["bandwidth"]
    weights = parameters * model["weight_bits"] / 8
    cache = context * model["token_bytes"]
    batch = math.floor(
        min(
            (machine["memory"] - weights) / cache,
            (limit_ms / 1e3 * bandwidth - weights) / cache,
            limit_ms / 1e3 * machine["peak"] / (2 * parameters),
        )
    )
    if batch < 1:
        return 0, 0.0
    step = (weights + batch * cache) / bandwidth
    return batch, batch / max(step, 2 * parameters * batch / machine["peak"])
