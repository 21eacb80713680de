"""Block LDLQ is GPTQ at width 1, books its error exactly, and beats plain rounding."""

import pytest
import torch

from lib.quant.hessian import Hessian, inverse_factor
from lib.quant.solvers.block_rounding import block_ldlq, cancel_block_errors
from lib.quant.solvers.gptq import LoopSettings, cancel_errors
from lib.quant.uniform.grid import dequantize, quantize
from lib.quant.uniform.grouped import fit_groups

ROWS, COLS = 7, 24


def layer(seed, tokens=100, dtype=torch.float64):
    """Weights, and the second moment of correlated inputs, some far larger."""
    draw = torch.Generator().manual_seed(seed)
    mix = torch.randn(COLS, COLS, dtype=dtype, generator=draw)
    mix *= torch.logspace(-1, 1, COLS, dtype=dtype)[:, None]
    stream = Hessian(COLS)
    stream.add(torch.randn(tokens, COLS, dtype=dtype, generator=draw) @ mix)
    return torch.randn(ROWS, COLS, dtype=dtype, generator=draw), stream.matrix


def damped(h, damping=0.01):
    return h + damping * h.diagonal().mean() * torch.eye(len(h), dtype=h.dtype)


def cost(delta, h):
    return torch.einsum("ri,ij,rj->", delta, h, delta).item()


def integers(x):
    """The lattice Zⁿ: nothing in it knows how many columns there are."""
    return x.round(), x.round().to(torch.int16)


def checkerboard(x):
    """Dₙ, whose coordinates hang together: even sums only, by the worst one's flip."""
    near = x.round()
    worst = (x - near).abs().argmax(1, keepdim=True)
    step = torch.where(x >= near, 1.0, -1.0).to(x)
    flip = torch.zeros_like(x).scatter_(1, worst, step.gather(1, worst))
    near = near + flip * (near.sum(1, keepdim=True) % 2 != 0)
    return near, near.to(torch.int16)


@pytest.mark.parametrize("seed", range(3))
def test_width_one_is_the_loop_of_gptq(seed):
    w, h = layer(seed)
    grid, factor = fit_groups(w, bits=3, group=COLS), inverse_factor(h)
    columns, vectors = w.T.contiguous(), w.T.contiguous()
    booked = cancel_errors(
        columns,
        factor,
        lambda j, left: dequantize(quantize(left[:1].T, grid), grid)[:, 0],
    )

    def one_by_one(x):
        codes = quantize(x, grid)
        return dequantize(codes, grid), codes

    losses, _ = cancel_block_errors(vectors, factor, one_by_one, width=1)
    assert torch.equal(columns, vectors)
    torch.testing.assert_close(booked, losses, rtol=1e-12, atol=0)


@pytest.mark.parametrize("width", [1, 2, 8, 24])
@pytest.mark.parametrize("act_order", [False, True])
@pytest.mark.parametrize("damping", [0.01, 0.5])
def test_what_the_loop_books_is_what_the_layer_errs(width, act_order, damping):
    w, h = layer(3)
    settings = LoopSettings(act_order=act_order, damping=damping)
    done = block_ldlq(w, h, checkerboard, width=width, settings=settings)
    erred = cost(w - done.weight, damped(h, damping))
    assert done.error == pytest.approx(erred, rel=1e-9)


@pytest.mark.parametrize("block", [1, 5, 8, 20, 128])
@pytest.mark.parametrize("width", [2, 8])
def test_the_lazy_block_changes_the_time_and_not_the_codes(block, width):
    w, h = layer(4)
    at_once = block_ldlq(w, h, checkerboard, width=width)
    lazily = block_ldlq(
        w, h, checkerboard, width=width, settings=LoopSettings(block=block)
    )
    assert torch.equal(at_once.codes, lazily.codes)


@pytest.mark.parametrize("act_order", [False, True])
def test_the_codes_are_those_of_the_weights_as_cut(act_order):
    w, h = layer(5)
    done = block_ldlq(
        w, h, integers, width=8, settings=LoopSettings(act_order=act_order)
    )
    assert done.codes.shape == (ROWS, COLS // 8, 8)
    cut = done.weight if done.order is None else done.weight[:, done.order]
    assert torch.equal(done.codes.flatten(1).to(cut), cut)
    assert (done.order is not None) == act_order


@pytest.mark.parametrize("width", [2, 8])
def test_the_feedback_is_that_of_the_papers_block_ldl(width):
    """H = N D Nᵀ, N with unit blocks, D of blocks: Ŵ = Q(Ŵ + (W − Ŵ) N)."""
    w, h = layer(6)
    done = block_ldlq(w, h, checkerboard, width=width)
    factor, runs = inverse_factor(h), range(0, COLS, width)
    own = torch.block_diag(*(factor[j : j + width, j : j + width] for j in runs))
    unit = torch.linalg.inv(factor) @ own
    inverse = torch.linalg.inv(unit)
    middle = inverse @ damped(h) @ inverse.T
    blocks = torch.block_diag(*(torch.ones(width, width) for _ in runs)).bool()
    assert middle[~blocks].abs().max() < 1e-9 * middle.abs().max(), "D has no blocks"
    seen = done.weight + (w - done.weight) @ unit
    again, _ = checkerboard(seen.reshape(-1, width))
    assert torch.equal(again.view_as(w), done.weight)


@pytest.mark.parametrize("seed", range(5))
def test_it_beats_the_same_quantizer_without_feedback(seed):
    w, h = layer(seed)
    w = 4 * w
    plain, _ = checkerboard(w.reshape(-1, 8))
    done = block_ldlq(w, h, checkerboard, width=8)
    assert cost(w - done.weight, h) < cost(w - plain.view_as(w), h)


def test_a_dead_column_is_rounded_and_pushes_nothing():
    w, h = layer(7)
    h[3], h[:, 3] = 0, 0
    done = block_ldlq(w, h, integers, width=8)
    assert torch.equal(done.weight[:, 3], w[:, 3].round())
    other = w.clone()
    other[:, 3] += 10
    again = block_ldlq(other, h, integers, width=8)
    rest = torch.arange(COLS) != 3
    assert torch.equal(done.weight[:, rest], again.weight[:, rest])


def test_what_cannot_be_cut_is_refused():
    w, h = layer(8)
    with pytest.raises(ValueError, match="width=7 does not divide the 24 columns"):
        block_ldlq(w, h, integers, width=7)
    with pytest.raises(ValueError, match="width=0"):
        block_ldlq(w, h, integers, width=0)
    w[0, 1] = torch.nan
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        block_ldlq(w, h, integers, width=8)
