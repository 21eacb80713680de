"""Codebooks on a line: Lloyd improves, dynamic programming cannot be beaten."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.quant.codebooks.codebook import (
    decode,
    encode,
    fake_codebook,
    fit_codebook,
    lloyd,
    nearest,
    optimal_levels,
    quantile_levels,
)
from lib.quant.codebooks.normal_float import normal_float_levels
from lib.quant.uniform.grid import fake_quantize


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def cost(w, levels):
    w, levels = w.double(), levels.double()
    return (w - levels[nearest(w[None], levels[None])[0]]).square().sum().item()


def cost_by_trying_all(w, k):
    """Every way to cut the sorted weights into k runs."""
    w = w.double().sort().values
    best = math.inf
    for cuts in itertools.combinations(range(1, len(w)), k - 1):
        runs = torch.tensor_split(w, list(cuts))
        best = min(best, sum((r - r.mean()).square().sum().item() for r in runs))
    return best


def test_three_clear_clusters_by_hand():
    w = torch.tensor([0.0, 0.2, 5.0, 5.2, 9.0])
    assert optimal_levels(w, 3).tolist() == pytest.approx([0.1, 5.1, 9.0])


@given(st.lists(st.integers(-20, 20), min_size=5, max_size=10), st.integers(1, 4))
@settings(max_examples=60)
def test_the_optimum_is_the_best_of_all_cuts(values, k):
    w = torch.tensor(values, dtype=torch.float64)
    found = cost(w, optimal_levels(w, k))
    assert found <= cost_by_trying_all(w, k) + 1e-9


@pytest.mark.parametrize("k", [2, 3, 4, 8, 16])
def test_no_codebook_is_better_than_the_optimum(k):
    for seed in range(5):
        w = normal(500, seed=seed).pow(3)  # heavy tails
        start = quantile_levels(w[None], k)
        better = lloyd(w[None], start)[0]
        optimum = cost(w, optimal_levels(w, k))
        assert optimum <= cost(w, better) * (1 + 1e-5) + 1e-9
        assert cost(w, better) <= cost(w, start[0]) * (1 + 1e-6)


def test_lloyd_never_rises_and_stops_at_a_fixed_point():
    w, levels = normal(1, 2000), quantile_levels(normal(1, 2000), 16)
    before = math.inf
    for _ in range(40):
        now = cost(w[0], levels[0])
        assert now <= before * (1 + 1e-6)
        before, levels = now, lloyd(w, levels, iterations=1)
    end = lloyd(w, levels, iterations=10_000)
    assert torch.allclose(lloyd(w, end, iterations=1), end, atol=1e-6)


def test_the_best_two_levels_of_a_normal_are_at_its_half_means():
    w = normal(200_000)
    levels = optimal_levels(w, 2)
    mean = math.sqrt(2 / math.pi)  # E|w|; standard error of 200,000: 0.0014
    assert torch.allclose(levels, torch.tensor([-mean, mean]), atol=0.007)
    assert cost(w, levels) / len(w) == pytest.approx(1 - 2 / math.pi, abs=0.006)


def test_the_best_sixteen_levels_of_a_normal_have_max_s_known_error():
    # J. Max 1960, "Quantizing for minimum distortion", table 1: 0.009497 at 16 levels;
    # over 60,000 weights the sample's own value scatters by about 0.5 %.
    w = normal(60_000)
    assert cost(w, optimal_levels(w, 16)) / len(w) == pytest.approx(0.009497, rel=0.03)


def test_quantiles_fill_their_cells_equally():
    w = normal(1, 64_000)
    levels = quantile_levels(w, 16)
    edges = w[0].quantile(torch.arange(1, 16) / 16)
    below = (w[0][None] < edges[:, None]).sum(1)
    assert torch.allclose(below / 64_000, torch.arange(1, 16) / 16, atol=1e-3)
    cells = torch.searchsorted(edges, levels[0])
    assert cells.tolist() == list(range(16)), "one level in every equally full cell"


@pytest.mark.parametrize("method", ["quantile", "kmeans", "optimal"])
@pytest.mark.parametrize("group", ["tensor", "channel", 16])
def test_levels_are_fixed_points_and_codes_fit(method, group):
    w = normal(6, 32)
    book = fit_codebook(w, bits=3, group=group, method=method)
    codes = encode(w, book)
    assert codes.dtype == torch.uint8 and codes.max() < 8
    levels = decode(codes, book)
    assert torch.equal(encode(levels, book), codes)
    groups = {"tensor": 1, "channel": 6, 16: 12}[group]
    assert book.levels.shape == (groups, 8)
    assert book.bits_per_weight() == 3 + groups * 8 * 16 / (6 * 32)


def test_on_its_own_weights_the_optimum_beats_every_fixed_alphabet():
    w = normal(8, 512, seed=4)
    best = (fake_codebook(w, bits=4, method="optimal") - w).square().mean()
    grid = (fake_quantize(w, bits=4, group="tensor") - w).square().mean()
    scaled = normal_float_levels() * w.abs().max()
    nf4 = cost(w.flatten(), scaled) / w.numel()
    assert best < nf4 and best < grid, (best, nf4, grid)


def test_few_distinct_weights_are_kept_exactly():
    w = torch.tensor([[1.0, 1.0, -2.0, 3.0]])
    for method in ("kmeans", "optimal"):
        assert torch.equal(fake_codebook(w, bits=2, method=method), w)
    assert optimal_levels(w[0], 8).tolist() == [-2.0, 1.0, 3.0, 3, 3, 3, 3, 3]


def test_ties_go_to_the_lower_level():
    assert nearest(torch.tensor([[0.5, 0.6]]), torch.tensor([[0.0, 1.0]])).tolist() == [
        [0, 1]
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 0}, "bits=0"),
        ({"bits": 9}, "bits=9"),
        ({"bits": 2, "method": "median"}, "'median'"),
        ({"bits": 2, "group": 5}, "group=5 .* 8 columns"),
        ({"bits": 2, "w": torch.full((2, 8), torch.nan)}, "16 NaN"),
        ({"bits": 2, "w": torch.ones(2, 0)}, "2x0"),
    ],
)
def test_bad_input_is_named(options, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        fit_codebook(**{"w": torch.ones(2, 8)} | options)


def test_a_matrix_of_another_shape_is_refused():
    book = fit_codebook(normal(4, 8), bits=2)
    with pytest.raises(ValueError, match=r"\(2, 8\).*\(4, 8\)"):
        encode(normal(2, 8), book)
