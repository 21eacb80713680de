"""The straight-through estimator is the exact gradient of a function: which one?"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.quant.aware.ste import fake_quantize_ste, round_ste
from lib.quant.uniform.grid import Grid, dequantize, fit_grid, quantize

cases = given(
    bits=st.integers(1, 8), clip=st.floats(0.2, 1.0), seed=st.integers(0, 999)
)


def drawn(seed, *shape):
    return torch.randn(
        shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def test_rounding_is_rounding_forward_and_nothing_backward():
    x = torch.tensor([-1.5, -0.5, 0.5, 0.7, 2.5], requires_grad=True)
    y = round_ste(x)
    assert y.tolist() == [-2, 0, 0, 1, 2]
    y.backward(torch.arange(5.0))
    assert x.grad.tolist() == [0, 1, 2, 3, 4]


@settings(max_examples=40)
@cases
def test_forward_is_the_grids_and_backward_the_clips(bits, clip, seed):
    w = drawn(seed, 3, 12).requires_grad_()
    grid = fit_grid(w.detach(), bits=bits, group=4, clip=clip)
    w_hat = fake_quantize_ste(w, grid)
    assert torch.equal(w_hat, dequantize(quantize(w.detach(), grid), grid))
    g = drawn(seed + 1, 3, 12)
    w_hat.backward(g)
    u = (grid.runs_of(w.detach()) / grid.scale[..., None]).flatten(1)
    zero = grid.zero.repeat_interleave(4, 1)
    inside = (u + zero >= grid.low) & (u + zero <= grid.high)
    assert torch.equal(w.grad, g * inside)
    assert inside.any()


@settings(max_examples=40)
@cases
def test_it_is_the_gradient_of_clipping_with_the_rounding_errors_held(bits, clip, seed):
    w = drawn(seed, 2, 8)
    grid = fit_grid(w, bits=bits, group=8, clip=clip)
    s, z = grid.scale, grid.zero
    r = quantize(w, grid) - (w / s + z).clamp(grid.low, grid.high)

    def held(w):
        return s * ((w / s + z).clamp(grid.low, grid.high) + r - z)

    h = 1e-6 * s
    finite = (held(w + h) - held(w - h)) / (2 * h)
    edge = ((w / s + z - grid.low).abs() < 1e-5) | (
        (w / s + z - grid.high).abs() < 1e-5
    )
    leaf = w.clone().requires_grad_()
    fake_quantize_ste(leaf, grid).sum().backward()
    torch.testing.assert_close(leaf.grad[~edge], finite[~edge], atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_dtype_stays(dtype):
    w = torch.randn(2, 4, dtype=dtype, requires_grad=True)
    grid = fit_grid(w.detach(), bits=3, group="channel")
    w_hat = fake_quantize_ste(w, grid)
    w_hat.sum().backward()
    assert w_hat.dtype == w.grad.dtype == dtype


def test_a_grid_of_another_matrix_is_refused():
    grid = Grid(torch.ones(3, 1), torch.zeros(3, 1, dtype=torch.int32), -1, 1)
    with pytest.raises(ValueError, match="3x1 groups"):
        fake_quantize_ste(torch.ones(2, 4), grid)
