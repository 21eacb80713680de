"""Products with their ends: every end against float64, in one kernel and in two."""

import pytest
import torch

from lib.kernels.core.tiles import inside
from lib.kernels.ends import Dense, chosen, embedded, joined, launch
from lib.kernels.ends.matrices import product_reference, put_together, taken_apart
from lib.kernels.ends.product import (
    RUN,
    Stream,
    ended_product,
    ended_reference,
    gated_product,
    runs_of,
    stream_of,
)
from lib.kernels.ends.texts import choose_launch, embed_launch
from lib.kernels.int4 import pack_int4
from lib.kernels.nf4 import pack_nf4
from lib.quant.codebooks.normal_float import quantize_4bit
from lib.quant.uniform.grouped import round_to_nearest

HALF, EPS = torch.float16, 1e-5
ENDS = ("normed", "gated", "added", "best")
TILE = inside(16, 2, warps=2, stages=2)
pytestmark = pytest.mark.usefixtures("poisoned")


def int4(weight, **settings):
    settings = {"bits": 4, "group": 64, "symmetric": True} | settings
    return pack_int4(round_to_nearest(weight, **settings))


def nf4(weight):
    return pack_nf4(quantize_4bit(weight.half(), double=True))


def dense(weight):
    return Dense(weight.half())


def with_zero_points(weight):
    return int4(weight, symmetric=False)


KINDS = (dense, int4, with_zero_points, nf4)


def given(end, m, n, k, generator):
    """What an end needs, as arguments of `launch` and of the reference."""
    x = torch.randn(m, k, generator=generator).half()
    if end == "added":
        h = torch.randn(m, n, generator=generator)
        return x, (None, h, torch.rand(n, generator=generator).half(), 0.0)
    return x, (16 * torch.rand(m, runs_of(k), generator=generator), None, None, EPS)


def check(end, made, x, w, rest):
    """Within a rounding of y and a float32 sum, whose terms are near 1."""
    exact = ended_reference(end, x, w, *rest, dtype=torch.float64)
    for mine, theirs in zip(made, exact, strict=True):
        assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
    if (
        end == "best"
    ):  # a row may be another where two logits are equal but for rounding
        wide = x.double()
        logits = ended_reference("normed", wide, w, *rest, dtype=torch.float64)[0]
        at = logits.gather(1, made[1].long())
        assert torch.allclose(at, exact[0].double(), rtol=1e-3, atol=1e-3)
    for mine, theirs in list(zip(made, exact, strict=True))[
        : 1 if end == "best" else 3
    ]:
        size = theirs.double().abs().max()
        error = (mine.double() - theirs.double()).abs().max()
        assert error <= 2**-10 * size, f"{end}: {error:.2g} of {size:.2g}"


def moved(device, *tensors):
    return [t.to(device) if isinstance(t, torch.Tensor) else t for t in tensors]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("m", "n", "k"), [(1, 48, 192), (3, 70, 64)])
def test_every_end_in_one_kernel(end, kind, m, n, k, device, generator):
    """Rows that 16 does not divide, tokens that fill no tile, turns left over."""
    w = kind(torch.randn(n, k, generator=generator) / k**0.5).to(device)
    x, rest = given(end, m, n, k, generator)
    x, *rest = moved(device, x, *rest)
    check(end, launch(end, x, w, *rest, tile=TILE), x, w, rest)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("m", [2, 17])
def test_an_end_apart(end, m, device, generator):
    """More rows than one program has; and as many tokens as no product of few takes."""
    n, k = 1100, 64
    w = dense(torch.randn(n, k, generator=generator) / 8).to(device)
    x, rest = given(end, m, n, k, generator)
    x, *rest = moved(device, x, *rest)
    check(end, launch(end, x, w, *rest, apart=m == 2), x, w, rest)


@pytest.mark.parametrize("k", [64, 576, 1100])
def test_turns_in_registers_and_turns_in_the_loop(k, device, generator):
    """All turns held, some, and a last one that is not whole."""
    w = dense(torch.randn(32, k, generator=generator) / k**0.5).to(device)
    x, rest = given("normed", 1, 32, k, generator)
    x, *rest = moved(device, x, *rest)
    check("normed", launch("normed", x, w, *rest, tile=TILE), x, w, rest)


def test_the_next_norm_is_that_of_the_sum(device, generator):
    """x' s, with s from the squares that the product left, is the norm of h'."""
    n, k = 48, 64
    w = dense(torch.randn(n, k, generator=generator)).to(device)
    x, rest = given("added", 2, n, k, generator)
    x, *rest = moved(device, x, *rest)
    h, scaled, squares = launch("added", x, w, *rest, tile=TILE)
    s = torch.rsqrt(squares.sum(1, keepdim=True) / n + EPS)
    norm = torch.nn.functional.rms_norm(h, (n,), rest[2].float(), EPS)
    assert torch.allclose(scaled.float() * s, norm, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_joined_rows_are_those_of_the_parts(kind, generator):
    """NF4's nested blocks of 256 end inside the second, 70 rows of 3 blocks."""
    parts = [kind(torch.randn(n, 192, generator=generator)) for n in (16, 70, 3)]
    x = torch.randn(2, 192, generator=generator)
    whole = joined(parts)
    apart = torch.cat([product_reference(x, part) for part in parts], 1)
    assert torch.allclose(product_reference(x, whole), apart, rtol=1e-6, atol=1e-6)
    again = put_together(*taken_apart(whole))
    assert torch.equal(product_reference(x, again), product_reference(x, whole))


def test_joined_means_reach_the_kernel(device, generator):
    parts = [nf4(s * torch.randn(16, 192, generator=generator)) for s in (1, 9)]
    w = joined(parts).to(device)
    x, rest = given("normed", 1, 32, 192, generator)
    x, *rest = moved(device, x, *rest)
    check("normed", launch("normed", x, w, *rest, tile=TILE), x, w, rest)


def test_what_cannot_be_joined(generator):
    w = torch.randn(16, 64, generator=generator)
    for parts in ([dense(w), int4(w)], [int4(w), int4(w[:, :32], group=32)]):
        with pytest.raises(ValueError, match="no one kernel"):
            joined(parts)
    with pytest.raises(ValueError, match="zero points"):
        joined([int4(w), with_zero_points(w)])
    single = pack_nf4(quantize_4bit(w.half(), double=False))
    with pytest.raises(ValueError, match="different ways"):
        joined([nf4(w), single])


def test_the_first_of_equal_tokens_is_chosen(device):
    """Equal within a run, and between two."""
    logits = torch.zeros(1, 40)
    logits[0, [21, 23, 37]] = 5
    w = Dense(logits.T.repeat(1, 16).half() / 16).to(device)
    x, squares = torch.ones(1, 16).half(), torch.full((1, 1), 16.0)
    best = launch("best", *moved(device, x), w, squares.to(device), tile=TILE)
    texts = torch.zeros(1, 8, dtype=torch.int32, device=device)
    lengths = torch.full((1,), 3, dtype=torch.int32, device=device)
    choose_launch(*best, texts, lengths, 40)
    assert texts.tolist() == [[0] * 4 + [21] + [0] * 3] and lengths.tolist() == [4]


def test_an_embedding_is_the_row_of_the_last_token(device, generator):
    table = torch.randn(50, 70, generator=generator).half().to(device)
    gain = torch.rand(70, generator=generator).half().to(device)
    texts = torch.randint(50, (3, 9), generator=generator).int().to(device)
    lengths = torch.tensor([4, 0, 8], dtype=torch.int32, device=device)
    made = embed_launch(texts, lengths, table, gain)
    rows = table[[int(texts[i, n]) for i, n in enumerate((4, 0, 8))]].float()
    exact = stream_of(rows, gain, HALF)
    assert torch.equal(made[0], rows) and torch.equal(made[1], exact.x)
    assert torch.allclose(made[2], exact.squares)


@pytest.mark.parametrize("end", ENDS)
def test_entries_run_the_kernels(end, by_kernel, device, generator):
    def as_registered(end, x, tensors, numbers, *rest):
        return launch(end, x, put_together(tensors, numbers), *rest, tile=TILE)

    by_kernel("ended_product", as_registered)
    w = int4(torch.randn(32, 64, generator=generator)).to(device)
    x, rest = given(end, 1, 32, 64, generator)
    x, *rest = moved(device, x, *rest)
    check(end, ended_product(end, x, w, *rest), x, w, rest)
    assert by_kernel.ran == ["ended_product"] * (device == "cpu")


def test_what_does_not_fit_is_refused(as_a_user, generator):
    w = dense(torch.randn(33, 64, generator=generator))
    x = torch.randn(2, 64).half()
    squares, h = torch.rand(2, 64 // RUN), torch.zeros(2, 33)
    with pytest.raises(ValueError, match=r"squares is of shape \(2, 3\)"):
        ended_product("normed", x, w, squares[:, :3])
    with pytest.raises(ValueError, match="gain is missing"):
        ended_product("added", x, w, None, h)
    with pytest.raises(ValueError, match="64 columns"):
        ended_product("normed", x[:, :63], w, squares)
    with pytest.raises(ValueError, match="33 rows"):
        gated_product(Stream(h, x, squares), w, EPS)
    texts, lengths = torch.zeros(2, 9).int(), torch.zeros(2).int()
    with pytest.raises(ValueError, match="3 lengths"):
        embedded(texts, torch.zeros(3).int(), torch.zeros(5, 8), torch.zeros(8))
    with pytest.raises(ValueError, match="a gain of"):
        embedded(texts, lengths, torch.zeros(5, 8), torch.zeros(9))
    with pytest.raises(ValueError, match="a vocabulary of 40"):
        chosen((torch.zeros(2, 2), torch.zeros(2, 2).int()), texts, lengths, 40)
