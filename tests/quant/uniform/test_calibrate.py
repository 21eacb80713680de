"""A histogram that no batching can change, and four rules with known optima."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.quant import Histogram, dequantize, grid_from_range, quantize, static_grid
from lib.quant.uniform.calibrate import (
    HALF,
    STRIDE,
    divergence_of,
    error_of,
    least_range,
    minmax_range,
    percentile_range,
)


def ends(grid):
    """The lowest and the highest level."""
    return tuple(
        (grid.scale * (code - grid.zero)).item() for code in (grid.low, grid.high)
    )


def heavy_tailed(count=50_000, seed=0):
    x = torch.randn(count, generator=torch.Generator().manual_seed(seed))
    x[:10] *= 15
    return x


@settings(max_examples=60)
@given(
    st.lists(st.floats(-(2.0**80), 2.0**80, width=32), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
    st.integers(1, 40),
)
def test_the_histogram_forgets_order_and_batches(values, random, size):
    whole = Histogram().observe(torch.tensor(values))
    random.shuffle(values)
    parts = Histogram()
    for k in range(0, len(values), size):
        parts.observe(torch.tensor(values[k : k + size]))
    assert torch.equal(parts.counts, whole.counts)
    assert (parts.low, parts.high, parts.width) == (whole.low, whole.high, whole.width)
    assert whole.counts.sum() == len(values)


def test_every_value_lies_in_its_bin_and_zeros_come_first_or_last():
    for value in 1.0, 0.25:
        for batches in ([0.0], [value]), ([value], [0.0]):
            seen = Histogram()
            for batch in batches:
                seen.observe(torch.tensor(batch))
            assert seen.width == 2 * value / HALF
            assert seen.counts[[HALF, HALF + HALF // 2]].all()
    assert Histogram().observe(torch.zeros(3)).counts[HALF] == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_histogram_counts_every_dtype_and_shape(dtype):
    x = heavy_tailed(600).to(dtype)
    seen = Histogram().observe(x.reshape(2, 10, 30))
    expected = Histogram().observe(x.double())
    assert torch.equal(seen.counts, expected.counts)


def test_minmax_keeps_everything_and_zero():
    grid = static_grid(Histogram().observe(torch.tensor([2.0, 5.0])))
    assert ends(grid) == pytest.approx((0, 5))
    grid = static_grid(Histogram().observe(torch.tensor([-3.0, 5.0])), symmetric=True)
    assert ends(grid) == pytest.approx((-5, 5))


@pytest.mark.parametrize("share", [0.5, 0.99, 0.999, 1.0])
def test_percentile_agrees_with_torch_to_one_bin(share):
    x = heavy_tailed()
    seen = Histogram().observe(x)
    low, high = percentile_range(seen, share=share)
    tail = (1 - share) / 2
    expected = x.double().quantile(
        torch.tensor([tail, 1 - tail], dtype=torch.float64), interpolation="nearest"
    )
    assert low == pytest.approx(expected[0].item(), abs=seen.width)
    assert high == pytest.approx(expected[1].item(), abs=seen.width)
    inside = ((x >= low) & (x <= high)).float().mean()
    assert inside >= share - 1 / len(x), "bins are kept whole, so never too few values"


def test_the_whole_share_is_minmax_and_every_range_has_zero():
    seen = Histogram().observe(heavy_tailed())
    assert percentile_range(seen, share=1.0) == minmax_range(seen)
    for sign in (1, -1):
        seen = Histogram().observe(sign * (heavy_tailed().abs() + 2))
        low, high = (sign * end for end in percentile_range(seen, share=0.5))
        assert 0 in (low, high) and 2 < low + high < sign * (seen.low + seen.high)


def test_the_share_reaches_the_static_grid():
    seen = Histogram().observe(heavy_tailed())
    for share in (0.5, 0.99):
        expected = percentile_range(seen, share=share)
        found = ends(static_grid(seen, "percentile", share=share))
        step = (expected[1] - expected[0]) / 255
        assert found == pytest.approx(expected, abs=0.51 * step)


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("cost", [error_of, divergence_of])
def test_a_searched_range_beats_minmax_by_its_own_measure(cost, bits, symmetric):
    seen = Histogram().observe(heavy_tailed())
    kind = {"bits": bits, "symmetric": symmetric}
    costs = {m: cost(seen, m, **kind) for m in range(HALF, 0, -STRIDE)}
    best = least_range(seen, cost, **kind)
    assert best == seen.cut(min(costs, key=costs.get))[1:]
    assert min(costs.values()) <= costs[HALF]
    assert bits == 8 or best[1] < seen.high / 2, "at few bits, clipping pays"


def test_among_ranges_of_equal_cost_the_widest_is_taken():
    seen = Histogram().observe(heavy_tailed())
    kind = {"bits": 4, "symmetric": False}
    assert least_range(seen, lambda *_, **__: 0.0, **kind) == minmax_range(seen)


def test_mse_wins_on_the_data_themselves():
    x = heavy_tailed()
    seen = Histogram().observe(x)

    def error(rule):
        grid = static_grid(seen, rule, bits=4)
        return (dequantize(quantize(x[None], grid), grid) - x).square().mean().item()

    errors = {rule: error(rule) for rule in ("minmax", "percentile", "mse", "kl")}
    assert min(errors, key=errors.get) == "mse", errors


def gaussian_error(step, levels):
    """E (x - x̂)² of N(0, 1) on `levels` (odd) levels, 0 among them, in closed form."""
    phi = lambda t: math.exp(-t * t / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    cdf = lambda t: math.erfc(-t / math.sqrt(2)) / 2  # noqa: E731
    total, top = 0.0, levels // 2
    for k in range(-top, top + 1):
        c, a, b = k * step, (k - 0.5) * step, (k + 0.5) * step
        a, b = (-40.0 if k == -top else a), (40.0 if k == top else b)
        # ∫ (x - c)² φ over [a, b], from ∫ φ, ∫ x φ = -φ and ∫ x² φ = Φ - x φ
        total += (1 + c * c) * (cdf(b) - cdf(a)) - (b * phi(b) - a * phi(a))
        total += 2 * c * (phi(b) - phi(a))
    return total


@pytest.mark.parametrize("bits", [3, 4])
def test_mse_finds_the_best_clip_of_a_normal_distribution(bits):
    levels = 2**bits - 1
    steps = [k / 1000 for k in range(50, 1500)]
    best = min(steps, key=lambda s: gaussian_error(s, levels)) * (levels // 2)
    x = torch.randn(400_000, generator=torch.Generator().manual_seed(1))
    seen = Histogram().observe(x)
    found = ends(static_grid(seen, "mse", bits=bits, symmetric=True))[1]
    # thresholds are STRIDE bins apart; the optimum is flat, so sampling moves it
    assert found == pytest.approx(best, abs=STRIDE * seen.width + 0.03)


def test_kl_finds_the_threshold_at_which_codes_match_the_density():
    # A density that is constant over each cell of the grid with threshold t0 = 1016
    # bins = 127 steps of 8 bins: there Q = P but for three outliers, and nowhere else.
    heights = torch.randint(
        50, 5000, (127,), generator=torch.Generator().manual_seed(2)
    )
    code = ((torch.arange(1016) + 0.5) / 8).round().long().clamp(max=126)
    seen = Histogram().observe(torch.tensor([1.0, -1.0]))  # R = 2
    seen.counts.zero_()
    seen.counts[HALF : HALF + 1016] = heights[code]
    seen.counts[HALF - 1016 : HALF] = heights[code].flip(0)
    seen.counts[HALF + 2000] = 3
    seen.low, seen.high = -1016 * seen.width, 2000.5 * seen.width
    kind = {"bits": 8, "symmetric": True}
    assert divergence_of(seen, 1016, **kind) < 1e-4 < divergence_of(seen, HALF, **kind)
    top = ends(static_grid(seen, "kl", **kind))[1]
    assert top == pytest.approx(1016 * seen.width)


def divergence_by_definition(seen, m, bits, symmetric):
    """D_KL(P ‖ Q), a bin at a time."""
    counts = {i: n for i, n in enumerate(seen.counts.tolist(), -HALF) if n}
    kept = {i: n for i, n in counts.items() if -m <= i < m}
    edge = m * seen.width
    low, high = max(seen.low, -edge), min(seen.high, edge)
    grid = grid_from_range(
        torch.tensor([[low]]), torch.tensor([[high]]), bits=bits, symmetric=symmetric
    )
    centres = torch.tensor([[(i + 0.5) * seen.width for i in kept]])
    code = dict(zip(kept, quantize(centres, grid)[0].tolist(), strict=True))
    p = dict(kept)
    p[min(kept)] += sum(n for i, n in counts.items() if i < -m)
    p[max(kept)] += sum(n for i, n in counts.items() if i >= m)
    q = {
        i: sum(kept[j] for j in kept if code[j] == code[i])
        / sum(1 for j in kept if code[j] == code[i])
        for i in kept
    }
    total, whole = sum(p.values()), sum(q.values())
    return sum(n / total * math.log(n / total / (q[i] / whole)) for i, n in p.items())


@pytest.mark.parametrize("m", [48, 200, 640, 2048])
@pytest.mark.parametrize("symmetric", [False, True])
def test_kl_is_its_definition_at_every_threshold(m, symmetric):
    seen = Histogram().observe(heavy_tailed(2000) + 0.4)
    expected = divergence_by_definition(seen, m, 4, symmetric)
    found = divergence_of(seen, m, bits=4, symmetric=symmetric)
    assert found == pytest.approx(expected, rel=1e-9)


def test_kl_is_infinite_where_there_are_fewer_bins_than_codes_or_none():
    seen = Histogram().observe(heavy_tailed())
    assert divergence_of(seen, 127, bits=8, symmetric=False) == math.inf
    assert divergence_of(seen, 128, bits=8, symmetric=False) < math.inf
    apart = Histogram().observe(torch.tensor([-1.0, 1.0]))
    assert divergence_of(apart, 512, bits=4, symmetric=False) == math.inf
    few = Histogram().observe(torch.tensor([0.0, 2.0**-20, 1.0]))
    assert divergence_of(few, HALF, bits=8, symmetric=False) < math.inf


def test_kl_of_distributions_that_rounding_keeps_is_zero():
    x = torch.randint(-127, 128, (9999,), generator=torch.Generator().manual_seed(3))
    seen = Histogram().observe(x.float())  # already on the grid: one bin a code
    assert divergence_of(seen, HALF, bits=8, symmetric=True) == pytest.approx(0)


def test_refuses_what_it_cannot_calibrate(as_a_user):
    with pytest.raises(ValueError, match="holds 0 values"):
        static_grid(Histogram())
    seen = Histogram().observe(torch.ones(3))
    with pytest.raises(ValueError, match="rule='median' is none of"):
        static_grid(seen, "median")
    with pytest.raises(ValueError, match=r"share=1.5 is not in"):
        static_grid(seen, "percentile", share=1.5)
    with pytest.raises(ValueError, match="bits=9"):
        static_grid(seen, bits=9)
    for bad in (torch.tensor([torch.nan]), torch.ones(0), torch.ones(2).int()):
        with pytest.raises(ValueError, match=r"holds 1 NaN|shape 1x0|torch.int32"):
            seen.observe(bad)


def test_kl_is_finite_at_every_threshold_that_keeps_enough_bins():
    seen = Histogram().observe(
        heavy_tailed()
    )  # far outliers: most outer bins are empty
    for m in range(2**4, HALF + 1, STRIDE):
        assert 0 <= divergence_of(seen, m, bits=4, symmetric=False) < math.inf
