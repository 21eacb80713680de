"""Three levels: packed exactly, multiplied exactly, and trained straight through."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.quant.aware.ternary import (
    BitNet158,
    Ternary,
    ternarize,
    ternary_codes,
)
from lib.quant.aware.tokens import fake_tokens, token_codes
from lib.quant.aware.trits import pack_trits, trit_product, unpack_trits
from lib.quant.serialize import deserialize, serialize


def test_all_243_fives_have_bytes_of_their_own():
    fives = torch.tensor(list(itertools.product((-1, 0, 1), repeat=5)))
    packed = pack_trits(fives.to(torch.int8))
    assert packed.shape == (243, 1) and len(packed.unique()) == 243
    assert packed.max() == 242
    by_hand = pack_trits(torch.tensor([[1, 0, -1, 0, 1]], dtype=torch.int8))
    assert by_hand.item() == 2 + 3 * 1 + 9 * 0 + 27 * 1 + 81 * 2


@settings(max_examples=60)
@given(
    tokens=st.integers(0, 4),
    rows=st.integers(1, 6),
    cols=st.integers(1, 33),
    seed=st.integers(0, 999),
)
def test_packing_and_the_product_are_exact(tokens, rows, cols, seed):
    draw = torch.Generator().manual_seed(seed)
    codes = torch.randint(-1, 2, (rows, cols), generator=draw, dtype=torch.int8)
    packed = pack_trits(codes)
    assert packed.shape == (rows, -(-cols // 5))
    assert torch.equal(unpack_trits(packed, cols), codes)
    x = torch.randint(-128, 128, (tokens, cols), generator=draw, dtype=torch.int8)
    assert torch.equal(trit_product(x, packed), x.int() @ codes.int().T)


def test_large_sums_stay_exact():
    codes = torch.ones(2, 20_000, dtype=torch.int8)
    x = torch.full((1, 20_000), 127, dtype=torch.int8)
    x[0, 0] = 126
    expected = 127 * 20_000 - 1
    assert trit_product(x, pack_trits(codes)).tolist() == [[expected, expected]]


def test_the_scale_is_the_mean_and_codes_are_nearest():
    w = torch.tensor([[0.1, -0.6, 2.0, -0.5, 0.0, 1.0]])
    codes, gamma = ternary_codes(w)
    assert gamma.item() == pytest.approx(0.7)
    assert codes.tolist() == [[0, -1, 1, -1, 0, 1]]
    zeros, none = ternary_codes(torch.zeros(2, 3))
    assert none == 0 and not zeros.any()


def test_every_weight_gets_its_gradient_also_where_it_is_clipped(generator):
    w = torch.randn(4, 9, generator=generator).requires_grad_()
    g = torch.randn(4, 9, generator=generator)
    ternarize(w).backward(g)
    assert torch.equal(w.grad, g)
    codes, gamma = ternary_codes(w.detach())
    assert (w.detach().abs() > 1.5 * gamma).any(), "some are clipped"
    assert torch.equal(ternarize(w.detach()), codes * gamma)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_inputs_keep_their_largest_and_err_by_half_a_step(bits, generator):
    x = torch.randn(3, 5, 16, generator=generator)
    x[1, 2] = 0
    x.requires_grad_()
    codes, step = token_codes(x, bits)
    largest = codes.abs().amax(-1)
    assert largest[1, 2] == 0 and (largest == 2 ** (bits - 1) - 1).sum() == 14
    x_hat = fake_tokens(x, bits)
    assert ((x_hat - x).abs() <= step / 2 * (1 + 1e-5)).all()
    x_hat.sum().backward()
    assert (x.grad == 1).all()
    with pytest.raises(ValueError, match="bits=1"):
        token_codes(x, 1)


@pytest.mark.parametrize("cols", [20, 23])
def test_a_packed_layer_is_the_layer_that_was_trained(cols, generator):
    w = torch.randn(7, cols, generator=generator)
    x = torch.randn(6, cols, generator=generator)
    q = BitNet158().quantize(w)
    trained = ternarize(w)
    # γ is rounded to fp16: 2^-11 at most
    torch.testing.assert_close(q.dequantize(), trained, rtol=2**-11, atol=0)
    expected = fake_tokens(x) @ q.dequantize().T
    torch.testing.assert_close(q.product(x), expected)
    assert q.bits_per_weight == (8 * 7 * -(-cols // 5) + 16) / (7 * cols)


def test_a_file_holds_it_bit_for_bit(generator):
    q = BitNet158().quantize(torch.randn(6, 13, generator=generator))
    again = deserialize(*serialize(q))
    assert isinstance(again, Ternary)
    assert torch.equal(again.dequantize(), q.dequantize())
    assert again.bits_per_weight == q.bits_per_weight


def test_what_is_no_trit_or_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="from -2 to 1"):
        pack_trits(torch.tensor([[-2, 1]], dtype=torch.int8))
    with pytest.raises(ValueError, match="from -128 to -128"):
        pack_trits(torch.tensor([[-128]], dtype=torch.int8))
    packed = pack_trits(torch.ones(2, 6, dtype=torch.int8))
    for cols in (0, 5, 11):
        with pytest.raises(ValueError, match=f"{cols} columns"):
            unpack_trits(packed, cols)
    with pytest.raises(ValueError, match="5 columns"):
        trit_product(torch.ones(1, 5, dtype=torch.int8), packed)
    with pytest.raises(ValueError, match="a byte is 243"):
        unpack_trits(torch.tensor([[243]], dtype=torch.uint8), 5)
    with pytest.raises(ValueError, match="exceeds fp16"):
        BitNet158().quantize(torch.full((1, 2), 1e6))
    with pytest.raises(ValueError, match="NaN"):
        ternarize(torch.tensor([[float("nan")]]))
