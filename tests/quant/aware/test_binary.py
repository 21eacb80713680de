"""One bit: where the mask comes from, and integers that are the dense product's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.quant.aware.binary import binarize, binarize_randomly, clip_weights
from lib.quant.aware.shift_norm import power_of_two, shift_batch_norm
from lib.quant.aware.xnor import pack_signs, popcount, unpack_signs, xnor_product

EDGES = torch.tensor([-2.0, -1, -0.5, -0.0, 0.0, 0.5, 1, 1.5])


def test_signs_have_no_zero_and_the_mask_ends_at_one():
    x = EDGES.clone().requires_grad_()
    b = binarize(x)
    assert b.tolist() == [-1, -1, -1, 1, 1, 1, 1, 1]
    b.backward(torch.full_like(b, 3.0))
    assert x.grad.tolist() == [0, 3, 3, 3, 3, 3, 3, 0]


def test_random_signs_have_the_mean_whose_slope_is_the_mask(generator):
    n = 40_000
    x = EDGES[:, None].expand(-1, n).clone().requires_grad_()
    b = binarize_randomly(x, generator)
    assert set(b.unique().tolist()) == {-1, 1}
    mean = b.detach().double().mean(1)
    bound = 5 / n**0.5  # five deviations of a mean of ±1
    assert (mean - EDGES.clamp(-1, 1)).abs().max() < bound
    certain = EDGES.abs() >= 1
    assert torch.equal(mean[certain].float(), EDGES.sign()[certain])
    b.sum().backward()
    assert torch.equal(x.grad[:, 0], (EDGES.abs() <= 1).float())


def test_weights_are_put_back_in_place():
    w = torch.tensor([-3.0, 0.2, 1.5], requires_grad=True)
    clip_weights([w])
    assert w.tolist() == pytest.approx([-1, 0.2, 1]) and w.requires_grad


@settings(max_examples=60)
@given(
    m=st.integers(1, 5),
    n=st.integers(1, 5),
    k=st.sampled_from([1, 2, 63, 64, 65, 127, 128, 129, 300]),
    seed=st.integers(0, 999),
)
def test_packed_products_are_the_dense_ones(m, n, k, seed):
    draw = torch.Generator().manual_seed(seed)
    a, b = (binarize(torch.randn(rows, k, generator=draw)) for rows in (m, n))
    packed = pack_signs(a), pack_signs(b)
    assert packed[0].shape == (m, -(-k // 64))
    assert torch.equal(unpack_signs(packed[0], k), a)
    product = xnor_product(*packed, k)
    assert product.dtype == torch.int32
    assert torch.equal(product, (a @ b.T).int())
    differ = popcount(packed[0][:, None] ^ packed[1]).sum(-1)
    assert torch.equal(k - 2 * differ, product.long()), "what a GPU's words would give"


def test_a_product_cut_into_pieces_is_whole(monkeypatch, generator):
    a, b = (torch.randn(rows, 200, generator=generator) for rows in (37, 11))
    whole = xnor_product(pack_signs(a), pack_signs(b), 200)
    monkeypatch.setattr("lib.quant.aware.xnor.PIECE", 100)
    assert torch.equal(xnor_product(pack_signs(a), pack_signs(b), 200), whole)


def test_bits_are_counted_at_the_ends_of_a_word(generator):
    words = torch.tensor([0, 1, -1, -(2**63), 2**63 - 1])
    assert popcount(words).tolist() == [0, 1, 64, 1, 63]
    random = torch.randint(-(2**62), 2**62, (200,), generator=generator)
    ones = [bin(w & (2**64 - 1)).count("1") for w in random.tolist()]
    assert popcount(random).tolist() == ones


def test_words_that_do_not_fit_are_refused(as_a_user):
    a = pack_signs(torch.ones(2, 65))
    with pytest.raises(ValueError, match="2 and 1 words"):
        xnor_product(a, pack_signs(torch.ones(2, 64)), 65)
    for cols in (0, 64, 129):
        with pytest.raises(ValueError, match=f"{cols} columns"):
            xnor_product(a, a, cols)
        with pytest.raises(ValueError, match=f"{cols} columns"):
            unpack_signs(a, cols)
    for bad in (torch.tensor([[float("nan")]]), torch.ones(0, 3)):
        with pytest.raises(ValueError, match="empty"):
            pack_signs(bad)


def test_powers_of_two_are_near_and_exact(generator):
    x = torch.randn(1000, generator=generator, dtype=torch.float64) * 100
    p = power_of_two(x)
    assert torch.equal(p.sign(), x.sign())
    assert (p / x).log2().abs().max() <= 0.5 + 1e-12
    assert torch.equal(p.abs().log2(), p.abs().log2().round())
    assert power_of_two(torch.zeros(1)).item() == 0
    assert power_of_two(torch.tensor([-3.0])).item() == -4


def test_shifts_normalize_within_the_bound(generator):
    x = torch.randn(512, 20, generator=generator, dtype=torch.float64)
    x = x * torch.logspace(-2, 2, 20, dtype=torch.float64) + 7
    gamma, beta = (torch.full((20,), v, dtype=torch.float64) for v in (3.0, 0.5))
    y = shift_batch_norm(x, gamma, beta, eps=1e-12)
    torch.testing.assert_close(y.mean(0), beta, atol=1e-9, rtol=0)
    off = (y.std(0, correction=0) / 3).log2().abs()
    assert off.max() <= 0.25 + 0.5 + 0.5
    assert off.max() > 0.01, "it is not ordinary normalization"


def test_shifts_pass_a_gradient_and_one_row_is_refused(generator):
    x = torch.randn(8, 3, generator=generator, requires_grad=True)
    gamma, beta = torch.ones(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    shift_batch_norm(x, gamma, beta).square().sum().backward()
    assert all(t.grad.abs().sum() > 0 for t in (gamma, beta, x))
    with pytest.raises(ValueError, match="1 rows"):
        shift_batch_norm(torch.ones(1, 3), gamma, beta)
