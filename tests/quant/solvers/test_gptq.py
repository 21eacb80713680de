"""GPTQ is OBQ in a fixed order, books its error exactly, and beats rounding."""

import dataclasses

import pytest
import torch

from lib.quant.hessian import Hessian, inverse_factor
from lib.quant.solvers.gptq import GPTQ, cancel_errors, gptq
from lib.quant.solvers.obq import obq
from lib.quant.uniform.grid import dequantize, quantize
from lib.quant.uniform.grouped import Grouped, fit_groups, round_to_nearest

ROWS, COLS = 7, 24


def layer(seed, rows=ROWS, cols=COLS, tokens=100, dtype=torch.float64):
    """Weights and the second moment of correlated inputs, some far larger."""
    draw = torch.Generator().manual_seed(seed)
    mix = torch.randn(cols, cols, dtype=dtype, generator=draw)
    mix *= torch.logspace(-1, 1, cols, dtype=dtype)[
        torch.randperm(cols, generator=draw)
    ]
    stream = Hessian(cols)
    stream.add(torch.randn(tokens, cols, dtype=dtype, generator=draw) @ mix)
    return torch.randn(rows, cols, dtype=dtype, generator=draw), stream.matrix


def cost(w, quantized, h):
    delta = w - quantized.dequantize()
    return torch.einsum("ri,ij,rj->", delta, h.to(w), delta).item()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("group", [1, 4, 8, 24])
@pytest.mark.parametrize(("bits", "symmetric"), [(2, False), (3, True), (4, False)])
def test_gptq_is_obq_in_the_columns_own_order(seed, group, bits, symmetric):
    w, h = layer(seed)
    ours = gptq(w, h, GPTQ(bits, group, symmetric))
    spec = obq(w, h, bits=bits, group=group, symmetric=symmetric)
    wrong = (ours.codes != spec.codes).any(0).nonzero().flatten().tolist()
    assert not wrong, f"columns {wrong} differ from OBQ's"
    assert torch.equal(ours.grid.scale, spec.grid.scale)
    assert torch.equal(ours.grid.zero, spec.grid.zero)


def test_both_damp_by_what_they_are_told():
    w, h = layer(2)
    codes = []
    for damping in (0.01, 1.0):
        ours = gptq(w, h, GPTQ(3, 8, damping=damping))
        spec = obq(w, h, bits=3, group=8, damping=damping)
        assert torch.equal(ours.codes, spec.codes)
        codes.append(ours.codes)
    assert not torch.equal(*codes), "the damping changed nothing"


@pytest.mark.parametrize("block", [1, 3, 5, 8, 24, 128])
@pytest.mark.parametrize("group", [2, 8, 24])
@pytest.mark.parametrize("act_order", [False, True])
def test_the_block_changes_the_time_and_not_the_codes(block, group, act_order):
    w, h = layer(3)
    settings = GPTQ(3, group, act_order=act_order, block=1)
    plain = gptq(w, h, settings)
    blocked = gptq(w, h, dataclasses.replace(settings, block=block))
    assert torch.equal(plain.codes, blocked.codes)
    assert torch.equal(plain.grid.scale, blocked.grid.scale)


@pytest.mark.parametrize("block", [4, 24])
def test_what_the_loop_books_is_what_the_layer_errs(block):
    w, h = layer(4)
    grid = fit_groups(w, bits=3, group=COLS)
    factor, rounded = inverse_factor(h, damping=0.01), w.T.contiguous()
    booked = cancel_errors(
        rounded,
        factor,
        lambda j, left: dequantize(quantize(left[:1].T, grid), grid)[:, 0],
        block=block,
    )
    damped = h + 0.01 * h.diagonal().mean() * torch.eye(COLS).double()
    delta = w - rounded.T
    erred = torch.einsum("ri,ij,rj->", delta, damped, delta)
    assert booked.sum().item() == pytest.approx(erred.item(), rel=1e-9)


def test_a_column_that_is_kept_costs_nothing():
    w, h = layer(5)
    rounded = w.T.contiguous()
    booked = cancel_errors(rounded, inverse_factor(h), lambda j, left: left[0])
    assert booked.abs().max() == 0 and torch.equal(rounded.T, w)


@pytest.mark.parametrize("settings", [
    GPTQ(3, 8),
    GPTQ(3, 8, act_order=True),
    GPTQ(3, 8, static_groups=True),
    GPTQ(3, 8, act_order=True, static_groups=True),
    GPTQ(3, 8, symmetric=True),
    GPTQ(3, 8, act_order=True, candidates=8),
])  # fmt: skip
@pytest.mark.parametrize("seed", range(5))
def test_every_setting_beats_round_to_nearest_on_the_calibration_inputs(settings, seed):
    w, h = layer(seed, rows=32)
    rtn = round_to_nearest(w, bits=3, group=8, symmetric=settings.symmetric)
    assert cost(w, gptq(w, h, settings), h) < cost(w, rtn, h)


def test_static_groups_use_the_very_grids_of_round_to_nearest():
    w, h = layer(6)
    rtn = round_to_nearest(w, bits=4, group=8)
    for act_order in (False, True):
        ours = gptq(w, h, GPTQ(4, 8, act_order=act_order, static_groups=True))
        assert torch.equal(ours.grid.scale, rtn.grid.scale)
        assert ours.order is None and ours.bits_per_weight == rtn.bits_per_weight


@pytest.mark.parametrize("damping", [0.01, 0.5])
def test_the_clipping_weighs_a_columns_error_by_what_it_costs(damping):
    w, _ = layer(18, rows=32)
    d = torch.rand(COLS, generator=torch.Generator().manual_seed(1)).double() ** 4
    ours = gptq(w, torch.diag(d), GPTQ(3, 8, candidates=8, damping=damping))
    kind = {"bits": 3, "group": 8, "candidates": 8}
    expected = fit_groups(w, **kind, importance=d + damping * d.mean())
    assert torch.equal(ours.grid.scale, expected.scale), "nothing is to cancel"
    assert not torch.equal(fit_groups(w, **kind).scale, expected.scale)


def test_static_groups_are_searched_in_the_columns_own_order():
    w, h = layer(19, rows=32)
    ours = gptq(w, h, GPTQ(3, 8, act_order=True, static_groups=True, candidates=8))
    order = h.diagonal().argsort(descending=True)
    importance = torch.empty(COLS).double()
    importance[order] = inverse_factor(h[order][:, order]).diagonal() ** -2
    expected = fit_groups(w, bits=3, group=8, importance=importance, candidates=8)
    assert torch.equal(ours.grid.scale, expected.scale)


def test_inputs_that_are_not_correlated_leave_round_to_nearest():
    w, _ = layer(7)
    ours = gptq(w, torch.eye(COLS), GPTQ(3, 8))
    assert torch.equal(ours.codes, round_to_nearest(w, bits=3, group=8).codes)


def test_codes_come_back_in_the_columns_own_order():
    w, _ = layer(8)
    h = torch.diag(torch.rand(COLS, generator=torch.Generator().manual_seed(0)))
    ours = gptq(w, h, GPTQ(8, COLS, act_order=True))
    assert not torch.equal(ours.order, torch.arange(COLS))
    worst = ((w - ours.dequantize()).abs() / ours.grid.scale).max()
    assert worst <= 1, f"a weight is {worst:.1f} steps off: the order was not undone"
    assert torch.equal(ours.order, h.diagonal().argsort(descending=True))


@pytest.mark.parametrize("dead", [0, 5, COLS - 1])
@pytest.mark.parametrize("act_order", [False, True])
@pytest.mark.parametrize("damping", [0.0, 0.01])
def test_a_dead_column_is_rounded_to_nearest_and_pushes_nothing(
    dead, act_order, damping
):
    w, h = layer(9)
    w[:, dead] /= 4  # so that each row's range, and with it its grid, is the others'
    h[dead], h[:, dead] = 0, 0
    settings = {"act_order": act_order, "static_groups": True, "damping": damping}
    ours = gptq(w, h, GPTQ(3, COLS, **settings))
    rtn = round_to_nearest(w, bits=3, group=COLS)
    assert torch.equal(ours.codes[:, dead], rtn.codes[:, dead])
    keep = torch.arange(COLS) != dead
    alone = gptq(w[:, keep], h[keep][:, keep], GPTQ(3, COLS - 1, **settings))
    assert torch.equal(ours.grid.scale, alone.grid.scale), "the grids are the same"
    assert torch.equal(ours.codes[:, keep], alone.codes)
    assert not torch.equal(alone.codes, rtn.codes[:, keep]), "nothing was cancelled"


def test_too_few_tokens_still_help_on_those_tokens():
    w, h = layer(10, tokens=6)
    assert cost(w, gptq(w, h, GPTQ(3, 8)), h) < 0.2 * cost(
        w, round_to_nearest(w, bits=3, group=8), h
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_weights_are_quantized_in_float32(dtype):
    w, h = layer(11)
    ours = gptq(w.to(dtype), h, GPTQ(4, 8))
    assert ours.dequantize().dtype == torch.float32
    assert torch.equal(ours.codes, gptq(w.to(dtype).float(), h, GPTQ(4, 8)).codes)


def test_zero_weights_stay_zero():
    _, h = layer(12)
    ours = gptq(torch.zeros(3, COLS), h, GPTQ(3, 8))
    assert ours.dequantize().abs().max() == 0


@pytest.mark.parametrize(("bits", "group", "bpw"), [(4, 64, 4.3125), (3, 16, 4.1875)])
def test_bits_a_weight_count_steps_zeros_and_order(bits, group, bpw):
    w, h = layer(13, rows=32, cols=64)
    assert gptq(w, h, GPTQ(bits, group)).bits_per_weight == bpw
    ordered = gptq(w, h, GPTQ(bits, group, act_order=True))
    assert ordered.bits_per_weight == bpw + 16 / 32


def test_a_bad_request_says_what_was_wrong(as_a_user):
    w, h = layer(14)
    with pytest.raises(ValueError, match="group=7 does not divide the 24 columns"):
        gptq(w, h, GPTQ(3, 7))
    with pytest.raises(ValueError, match=r"H is \(23, 23\), and w has 24 columns"):
        gptq(w, h[1:, 1:], GPTQ(3, 8))
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        gptq(w.index_fill(1, torch.tensor([2]), torch.nan)[:1], h, GPTQ(3, 8))
    for settings in (
        {"bits": 9}, {"bits": 1, "symmetric": True}, {"group": 0}, {"block": 0},
        {"candidates": 0}, {"damping": -1.0}, {"damping": float("nan")},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{next(iter(settings))}="):
            GPTQ(**settings)


def test_a_search_over_clipped_ranges_never_costs_error():
    w, _ = layer(15)
    importance = torch.rand(COLS, generator=torch.Generator().manual_seed(1)).double()
    losses = []
    for candidates in (1, 2, 4, 8, 16):  # each of these contains the one before
        grid = fit_groups(
            w, bits=3, group=8, importance=importance, candidates=candidates
        )
        error = w - Grouped(quantize(w, grid), grid).dequantize()
        losses.append((error.square() * importance).sum().item())
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]
    with pytest.raises(ValueError, match="candidates=0"):
        fit_groups(w, bits=3, group=8, candidates=0)


def test_steps_are_numbers_that_fp16_holds():
    w, _ = layer(16)
    grid = fit_groups(w * 1e-9, bits=4, group=8)
    assert (
        torch.equal(grid.scale.half().double(), grid.scale) and (grid.scale > 0).all()
    )
    with pytest.raises(ValueError, match="exceeds fp16's largest number"):
        fit_groups(w * 1e8, bits=4, group=8)


def _greedily(w, h, grid):
    """Codes of a row by the definition: after each choice, solve for all that is left.

    With a set S settled, the others sit at their least-squares optimum, and of them the
    one whose rounding raises the least error is settled next.
    """
    h = h + 0.01 * h.diagonal().mean() * torch.eye(len(w)).double()
    s, z = grid.scale[0, 0], grid.zero[0, 0]
    moved, left = w.clone(), list(range(len(w)))
    codes = torch.zeros(len(w))

    def error_with(j, rounded):
        """The error, and all weights, when `rounded` is put at j and the rest adapt."""
        free = [k for k in left if k != j]
        fixed = [k for k in range(len(w)) if k not in free]
        delta = moved - w
        delta[j] = rounded - w[j]
        pull = h[free][:, fixed] @ delta[fixed]
        delta[free] = -torch.linalg.solve(h[free][:, free], pull) if free else 0.0
        return (delta @ h @ delta).item(), w + delta

    while left:
        q = ((moved / s).round() + z).clamp(grid.low, grid.high)
        tried = {j: error_with(j, s * (q[j] - z)) for j in left}
        j = min(tried, key=lambda k: tried[k][0])
        codes[j], moved = q[j], tried[j][1]
        left.remove(j)
    return codes.to(torch.uint8)


def test_greedy_obq_takes_the_cheapest_weight_first(as_a_user):
    w, h = layer(17, rows=1)
    fixed = obq(w, h, bits=4, group=COLS)
    greedy = obq(w, h, bits=4, group=COLS, order="greedy")
    rtn = round_to_nearest(w, bits=4, group=COLS)
    assert cost(w, greedy, h) < cost(w, rtn, h)
    assert not torch.equal(fixed.codes, greedy.codes)
    assert torch.equal(greedy.codes[0], _greedily(w[0], h, rtn.grid))
    with pytest.raises(ValueError, match="order='random'"):
        obq(w, h, bits=4, group=COLS, order="random")
