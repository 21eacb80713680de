"""NVFP4's recipe: exact rotations, one W from both sides, the mean of gradients."""

import ml_dtypes
import numpy as np
import pytest
import torch

from lib.formats import BF16, NVFP4, round_to, round_to_blocks
from lib.formats.microscaling import block_scales
from lib.train.precision.matmul import linear
from lib.train.precision.nvfp4 import (
    hadamard,
    in_runs,
    in_squares,
    nvfp4,
    rotated,
    stays_wide,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


@pytest.mark.parametrize("size", [1, 2, 16, 64])
def test_hadamards_matrix_is_orthogonal_and_even(size):
    h = hadamard(size, generator())
    assert torch.allclose(h @ h.T, torch.eye(size), atol=1e-6)
    assert torch.equal(h.abs(), torch.full((size, size), size**-0.5))
    assert torch.equal(hadamard(size), hadamard(size).T), "Sylvester's is symmetric"


def test_signs_are_of_the_rows_so_that_one_large_number_is_spread_either_way():
    h = hadamard(16, generator())
    assert torch.equal(h.abs(), hadamard(16).abs())
    one = torch.zeros(1, 16)
    one[0, 5] = 8.0
    assert torch.equal(rotated(one, h).abs(), torch.full((1, 16), 2.0))
    assert (
        len({tuple(hadamard(16, generator(s))[:, 0].tolist()) for s in range(8)}) == 8
    )


def test_rotating_both_operands_leaves_their_product():
    a, b, h = normal(3, 64).double(), normal(5, 64, seed=1).double(), hadamard(16)
    h = hadamard(16, generator()).double()
    assert torch.allclose(rotated(a, h) @ rotated(b, h).T, a @ b.T, rtol=1e-12)


def test_squares_are_the_same_from_both_sides_and_runs_are_not():
    w = normal(64, 48)
    assert torch.equal(in_squares(w).T, in_squares(w.T))
    runs = in_runs()
    assert not torch.equal(runs(w).T, runs(w.T))


def test_the_recipe_says_who_is_rounded_how():
    x, w, dy = normal(32, 48), normal(16, 48, seed=1), normal(32, 16, seed=2)
    x, w, h = x.requires_grad_(), w.requires_grad_(), hadamard(16, generator(3))
    y = linear(x, w, nvfp4(generator(5), h=h))
    dx, dw = torch.autograd.grad(y, (x, w), dy)
    x, w, draw = x.detach(), w.detach(), generator(5)
    nearest, tossed = in_runs(), in_runs(draw)
    assert torch.equal(y, round_to(nearest(x) @ in_squares(w).T, BF16))
    assert torch.equal(dx, round_to(tossed(dy) @ in_squares(w), BF16))
    rotated_dy, rotated_x = rotated(dy.T, h), rotated(x.T, h)
    assert torch.equal(dw, tossed(rotated_dy) @ nearest(rotated_x).T)


def test_without_ingredients_the_recipe_is_plain_runs():
    x, w = normal(32, 48).requires_grad_(), normal(16, 48, seed=1).requires_grad_()
    dy, runs = normal(32, 16, seed=2), in_runs()
    y = linear(x, w, nvfp4(None, squares=False))
    dx, dw = torch.autograd.grad(y, (x, w), dy)
    assert torch.equal(y, round_to(runs(x) @ runs(w).T, BF16))
    assert torch.equal(dx, round_to(runs(dy) @ runs(w.T).T, BF16))
    assert torch.equal(dw, runs(dy.T) @ runs(x.T).T)


def test_gradients_are_right_in_the_mean_and_worse_in_one_draw():
    """Of Wgrad: over n draws the error falls by √n, that of nearest never does.

    The mean is that of dY cut off at the largest element: what saturates has no
    neighbour above.
    """
    x, dy, h = normal(64, 32), normal(64, 32, seed=1), hadamard(16, generator())
    a, b = rotated(dy.T, h), in_runs()(rotated(x.T, h))
    scales, t = block_scales(a, NVFP4, arithmetic=torch.float32)
    top = 6 * (scales * t).repeat_interleave(16, -1)
    mean = a.clamp(-top, top) @ b.T
    tossed, n, total, single = in_runs(generator(1)), 256, 0, []
    for _ in range(n):
        dw = tossed(a) @ b.T
        single.append((dw - mean).norm() / mean.norm())
        total = total + dw
    one, many = torch.stack(single).mean(), (total / n - mean).norm() / mean.norm()
    nearest = (in_runs()(a) @ b.T - mean).norm() / mean.norm()
    assert many == pytest.approx(one.item() / n**0.5, rel=0.1)
    assert many < nearest / 5 and nearest < one
    beyond = a.abs() > top
    assert 0 < beyond.float().mean() < 0.06
    assert (a.abs()[beyond] <= top[beyond] * (1 + 1 / 16)).all()


def test_float32_is_what_transformer_engines_quantizer_computes():
    """Its published reference, rewritten: it divides once, we divide twice in float32.

    So a scale or an element may fall on the other side of a tie, and seldom does.
    """
    x = normal(128, 512, seed=4) * 2 - 1
    runs = x.unflatten(-1, (-1, 16)).numpy()
    encode = np.float32(448 * 6) / np.abs(runs).max()
    decode = np.float32(1) / encode
    scales = np.abs(runs).max(-1, keepdims=True) / np.float32(6) * encode
    scales = np.minimum(scales, 448).astype(ml_dtypes.float8_e4m3fn).astype(np.float32)
    steps = np.float32(1) / (scales * decode)
    elements = np.clip(runs * steps, -6, 6).astype(ml_dtypes.float4_e2m1fn)
    theirs = torch.from_numpy(elements.astype(np.float32) * scales * decode).flatten(-2)
    ours = in_runs()(x)
    other = (ours - theirs).abs() > 1e-5 * theirs.abs() + 1e-7
    assert other.float().mean() < 1e-3
    exact = round_to_blocks(x, NVFP4)
    assert ((ours - exact).abs() > 1e-5 * exact.abs() + 1e-7).float().mean() < 1e-3


def test_published_layers_stay():
    """Two first and eight last of 62 blocks: 16 % of them."""
    wide = [stays_wide(block, 62) for block in range(62)]
    assert wide == [True] * 2 + [False] * 52 + [True] * 8
    assert round(100 * sum(wide) / 62) == 16


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: hadamard(12), "size=12"),
        (lambda: rotated(torch.ones(2, 24), hadamard(16)), "24"),
        (lambda: in_runs()(torch.ones(2, 24)), "block=16"),
        (lambda: in_squares(torch.ones(24, 32)), r"16 .* \(24, 32\)"),
        (lambda: stays_wide(62, 62), "block=62"),
    ],
)
def test_what_makes_no_sense_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
