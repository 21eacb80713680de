"""Two rotations change what the weights look like, and nothing that they compute."""

import math

import pytest
import torch

from lib.models.rescale import AWQ
from lib.quant.hessian import Hessian
from lib.quant.method import PerLayer
from lib.quant.rotations.incoherence import (
    Incoherence,
    SignedHadamard,
    hessian_incoherence,
    restore_weight,
    rotate_weight,
    weight_incoherence,
)
from lib.quant.solvers.gptq import GPTQ
from lib.quant.uniform.grouped import RoundToNearest

SIZES = [(16, 24), (192, 576), (576, 1536)]


def sides(m, n, generator):
    return SignedHadamard.draw(m, generator), SignedHadamard.draw(n, generator)


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_the_outputs_are_rotated_and_as_long(m, n, generator):
    left, right = sides(m, n, generator)
    w = torch.randn(m, n, generator=generator, dtype=torch.float64)
    x = torch.randn(5, n, generator=generator, dtype=torch.float64)
    turned = right.forward(x) @ rotate_weight(w, left, right).T
    torch.testing.assert_close(left.inverse(turned), x @ w.T)
    norms = turned.norm(dim=1), (x @ w.T).norm(dim=1)
    torch.testing.assert_close(*norms)
    torch.testing.assert_close(
        restore_weight(rotate_weight(w, left, right), left, right), w
    )


def test_the_proxy_error_is_the_same_in_both_spaces(generator):
    left, right = sides(16, 24, generator)
    seen = Hessian(24)
    seen.add(torch.randn(60, 24, generator=generator))
    delta = torch.randn(16, 24, generator=generator, dtype=torch.float64)
    turned, moment = rotate_weight(delta, left, right), seen.after(right.forward)
    plain = ((delta @ seen.matrix) * delta).sum()
    torch.testing.assert_close(((turned @ moment.matrix) * turned).sum(), plain)
    again = Hessian(24)
    again.add(right.forward(torch.zeros(1, 24)))
    assert moment.samples == 60
    with pytest.raises(ValueError, match=r"mean \|x\| is undefined"):
        moment.magnitude  # noqa: B018


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_incoherence_keeps_its_bound_whatever_the_matrix(m, n, generator):
    """μ ≤ 2 log(4mn/δ) with probability 1 − δ (QuIP#, lemma 3.1): δ = 1e-3 here."""
    left, right = sides(m, n, generator)
    spike = torch.zeros(m, n)
    spike[3, 5] = 1
    row = torch.zeros(m, n)
    row[2] = torch.randn(n, generator=generator)
    heavy = torch.randn(m, n, generator=generator) ** 5
    for w in (spike, row, heavy):
        before, after = (
            weight_incoherence(w),
            weight_incoherence(rotate_weight(w, left, right)),
        )
        assert after < before
        assert after <= 2 * math.log(4 * m * n / 1e-3)
    assert weight_incoherence(spike) == pytest.approx((m * n) ** 0.5)
    assert weight_incoherence(rotate_weight(spike, left, right)) == pytest.approx(1)


def test_a_hessian_that_knows_its_axes_forgets_them(generator):
    _, right = sides(16, 192, generator)
    seen = Hessian(192)
    seen.add(torch.randn(500, 192, generator=generator) * torch.logspace(0, 2, 192))
    before = hessian_incoherence(torch.diag(seen.matrix.diagonal()))
    after = hessian_incoherence(seen.after(right.forward).matrix)
    assert before == pytest.approx(192**0.5) and after < before / 2


def test_a_method_within_it_is_the_method_on_rotated_weights(generator):
    w = torch.randn(16, 24, generator=generator)
    seen = Hessian(24)
    seen.add(torch.randn(60, 24, generator=generator))
    inner = GPTQ(3, 8)
    done = Incoherence(inner, seed=3).quantize(w, seen)
    turned = rotate_weight(w, done.left, done.right)
    alone = inner.quantize(turned, seen.after(done.right.forward))
    assert torch.equal(done.inner.codes, alone.codes)
    torch.testing.assert_close(
        rotate_weight(done.dequantize(), done.left, done.right), alone.dequantize()
    )
    x = torch.randn(5, 24, generator=generator)
    torch.testing.assert_close(done.product(x), x @ done.dequantize().T)
    signs = (16 + 24) / (16 * 24)
    assert done.bits_per_weight == pytest.approx(alone.bits_per_weight + signs)


def test_one_seed_is_one_rotation_and_another_is_another(generator):
    w = torch.randn(16, 24, generator=generator)
    one, same, other = (
        Incoherence(RoundToNearest(4, 8), seed=s).quantize(w, None) for s in (0, 0, 1)
    )
    assert torch.equal(one.left.signs, same.left.signs)
    assert not torch.equal(one.right.signs, other.right.signs)
    assert not Incoherence(RoundToNearest()).calibrated
    assert Incoherence(GPTQ()).calibrated


def test_what_it_cannot_rotate_is_refused_before_any_work():
    method = Incoherence(GPTQ(4, 8))
    method.check(16, 24)
    with pytest.raises(ValueError, match="n=9"):
        method.check(9, 24)
    with pytest.raises(ValueError, match="group=8 does not divide"):
        method.check(16, 12)
    with pytest.raises(ValueError, match="rearranges the model"):
        Incoherence(AWQ())
    with pytest.raises(ValueError, match="no method for up"):
        Incoherence(PerLayer({"down": GPTQ(4, 8)})).at("up")
    with pytest.raises(ValueError, match="is zero"):
        weight_incoherence(torch.zeros(2, 2))
