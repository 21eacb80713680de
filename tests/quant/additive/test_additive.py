"""AQLM's objective never rises, and PV-Tuning's; each step is the best of its kind."""

from itertools import pairwise, product

import pytest
import torch

from lib.quant.additive.aqlm import AQLM, aqlm
from lib.quant.additive.beam import nearest_sums, search_codes
from lib.quant.additive.books import calibrated_error, fit_books, fit_scale
from lib.quant.additive.kmeans import kmeans, nearest_entry, residual_kmeans
from lib.quant.additive.matrix import Additive, sum_of_entries
from lib.quant.additive.pv import Coded, pv_tune, v_step

ROWS, COLS, D = 24, 32, 8


@pytest.fixture
def layer(generator):
    """Weights in float64, and an H that couples all columns."""
    w = torch.randn(ROWS, COLS, generator=generator, dtype=torch.float64)
    mix = torch.randn(COLS, COLS, generator=generator, dtype=torch.float64)
    return w, mix @ mix.T / COLS + 0.05 * torch.eye(COLS, dtype=torch.float64)


@pytest.fixture
def start(layer, generator):
    """Codes, books and scales that nobody has fitted."""
    books = torch.randn(2, 8, D, generator=generator, dtype=torch.float64)
    codes = torch.randint(8, (ROWS, COLS // D, 2), generator=generator)
    scale = 0.5 + torch.rand(ROWS, generator=generator, dtype=torch.float64)
    return codes, books, scale


def error_of(layer, codes, books, scale):
    w, h = layer
    rounded = scale[:, None] * sum_of_entries(codes, books).flatten(1)
    return calibrated_error(w - rounded, h)


def never_rises(trace):
    return all(after <= before * (1 + 1e-9) for before, after in pairwise(trace))


@pytest.mark.parametrize("settings", [AQLM(2, 4), AQLM(1, 5, 4), AQLM(3, 2, width=1)])
def test_the_objective_never_rises(settings, layer):
    trace = []
    aqlm(*layer, settings, trace=trace)
    assert len(trace) == 1 + 3 * settings.rounds
    assert never_rises(trace), f"it rose: {trace}"
    assert trace[-1] < 0.9 * trace[0]


def test_lloyd_never_raises_the_distance_and_each_book_lowers_it(generator):
    x = torch.randn(300, 4, generator=generator)
    distances = []
    for iterations in range(5):
        book = kmeans(x, 16, iterations=iterations)
        distances.append((x - book[nearest_entry(x, book)]).square().sum().item())
    assert never_rises(distances)
    books, codes = residual_kmeans(x, 3, 16)
    left = [
        (x - sum_of_entries(codes[:, None, :m], books[:m])[:, 0]).square().sum().item()
        for m in (1, 2, 3)
    ]
    assert left == sorted(left, reverse=True)


def test_a_beam_as_wide_as_all_choices_finds_the_nearest_sum(generator):
    books = torch.randn(3, 4, 5, generator=generator, dtype=torch.float64)
    target = torch.randn(30, 5, generator=generator, dtype=torch.float64)
    codes = torch.zeros(30, 3, dtype=torch.long)
    every = torch.tensor(list(product(range(4), repeat=3)))
    sums = sum_of_entries(every[:, None], books)[:, 0]
    least = (target[:, None] - sums).square().sum(-1).amin(1)

    def distance(found):
        return (target - sum_of_entries(found[:, None], books)[:, 0]).square().sum(1)

    wide = distance(nearest_sums(target, books, codes, width=64))
    torch.testing.assert_close(wide, least)
    narrow = distance(nearest_sums(target, books, codes, width=2))
    assert (narrow <= distance(codes) + 1e-12).all(), "it left a nearer sum"
    assert (narrow >= least - 1e-12).all()


def test_a_pass_over_one_group_finds_what_trying_every_code_finds(layer, generator):
    w, h = layer
    books = torch.randn(1, 16, COLS, generator=generator, dtype=torch.float64)
    scale = torch.ones(ROWS, dtype=torch.float64)
    codes = torch.zeros(ROWS, 1, 1, dtype=torch.long)
    found = search_codes(w, h, codes, books, scale)
    error = w[:, None] - books[0]  # one group: each row has 16 choices
    best = ((error @ h) * error).sum(-1).argmin(1)
    assert torch.equal(found[:, 0, 0], best)


def test_search_never_raises_the_error(layer, start):
    codes, books, scale = start
    before = error_of(layer, codes, books, scale)
    once = search_codes(*layer, codes, books, scale)
    again = search_codes(*layer, once, books, scale)
    trace = [before, *(error_of(layer, c, books, scale) for c in (once, again))]
    assert never_rises(trace)
    assert trace[1] < 0.7 * before


def test_books_and_scales_reach_the_least_squares(layer, start):
    w, h = layer
    codes, books, scale = start
    root = torch.linalg.cholesky(h)
    count = books.numel()
    basis = torch.eye(count, dtype=torch.float64).view(count, *books.shape)
    columns = [
        (scale[:, None] * sum_of_entries(codes, one).flatten(1) @ root).flatten()
        for one in basis
    ]
    design = torch.stack(columns, 1)
    normal = design.T @ design
    best = torch.linalg.lstsq(
        normal, design.T @ (w @ root).flatten()[:, None], driver="gelsd"
    ).solution
    least = ((w @ root).flatten() - design @ best[:, 0]).square().sum().item()
    fitted = fit_books(w, h, codes, books, scale, steps=400)
    assert error_of(layer, codes, fitted, scale) == pytest.approx(least, rel=1e-6)
    trace = [
        error_of(layer, codes, fit_books(w, h, codes, books, scale, steps=k), scale)
        for k in range(6)
    ]
    assert never_rises(trace)
    sums = sum_of_entries(codes, books).flatten(1)
    fit = fit_scale(w, h, sums, scale)
    for factor in (0.99, 1.01):
        assert error_of(layer, codes, books, fit) < error_of(
            layer, codes, books, factor * fit
        )


def test_all_bits_are_counted():
    codes = torch.zeros(192, 72, 2, dtype=torch.uint8)
    matrix = Additive(codes, torch.zeros(2, 256, 8).half(), torch.ones(192).half())
    books, scales = 16 * 2 * 256 * 8 / (192 * 576), 16 / 576
    assert matrix.bits_per_weight == pytest.approx(2 + books + scales)
    assert books == pytest.approx(0.59, abs=0.005)


def quadratic(h, target):
    return lambda x: ((x - target).flatten() @ h @ (x - target).flatten()) / 2


@pytest.mark.parametrize("books", [1, 2])
def test_pv_never_raises_the_loss_and_moves_codes_and_books(books, generator):
    n, d = 20, 2
    mix = torch.randn(n * d, n * d, generator=generator, dtype=torch.float64)
    h = mix @ mix.T / (n * d)
    target = torch.randn(n, d, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, d, generator=generator, dtype=torch.float64)
    book, codes = residual_kmeans(target + noise, books, 4)
    x = Coded(codes, book)
    largest = torch.linalg.eigvalsh(h)[-1].item()
    tuned, trace = pv_tune(quadratic(h, target), x, smoothness=largest, rounds=30)
    assert never_rises(trace), f"it rose: {trace}"
    assert trace[-1] < 0.95 * trace[0]
    assert not torch.equal(tuned.codes, codes)
    assert not torch.equal(tuned.books, book)


def test_the_bound_of_the_theorem_is_enough_and_few_coordinates_need_less(generator):
    """At L >= L_S no step is halved; L_S of some coordinates is below L of all."""
    n, d = 30, 1
    mix = torch.randn(n, n, generator=generator, dtype=torch.float64)
    h = mix @ mix.T / n
    target = torch.randn(n, d, generator=generator, dtype=torch.float64)
    levels = torch.linspace(-2, 2, 8, dtype=torch.float64)[None, :, None]
    codes = torch.randint(8, (n, 1), generator=generator)
    loss, x = quadratic(h, target), Coded(codes, levels)
    slope = h @ (x.values() - target)
    for share in (0.1, 0.3, 1.0):
        chosen = slope.square().sum(1).topk(max(1, round(share * n))).indices
        bound = torch.linalg.eigvalsh(h[chosen][:, chosen])[-1].item() * (1 + 1e-9)
        moved, taken = v_step(loss, x, bound, share=share)
        assert taken == bound, "the theorem's bound was not enough"
        assert loss(moved.values()) <= loss(x.values())
        others = torch.ones(n, dtype=torch.bool).index_fill(0, chosen, False)
        assert torch.equal(moved.codes[others], codes[others])
        assert bound <= torch.linalg.eigvalsh(h)[-1].item() * (1 + 1e-8)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: AQLM(books=0), "books=0"),
        (lambda: AQLM(code_bits=17), "code_bits=17"),
        (lambda: AQLM(damping=-1.0), "damping=-1.0"),
        (lambda: AQLM(group=5).check(4, 16), "group=5 does not divide"),
        (lambda: aqlm(torch.ones(2, 8), torch.eye(7)), "H is"),
        (lambda: kmeans(torch.ones(3, 2), 0), "entries=0"),
        (lambda: residual_kmeans(torch.ones(3, 2), 0, 4), "books=0"),
        (
            lambda: nearest_sums(
                torch.ones(1, 2),
                torch.ones(1, 2, 2),
                torch.zeros(1, 1, dtype=torch.long),
                width=0,
            ),
            "width=0",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, says, as_a_user):
    with pytest.raises(ValueError, match=says):
        call()
