"""SpQR keeps what would hurt, quantizes its constants, and counts every bit."""

import pytest
import torch

from lib.quant.hessian import Hessian
from lib.quant.serialize import deserialize, serialize
from lib.quant.solvers.gptq import GPTQ, gptq
from lib.quant.solvers.spqr import Bilevel, SpQR, group_outliers, spqr

ROWS, COLS = 16, 32
INF = float("inf")


def layer(seed, outliers=0):
    """Weights with some planted large ones, and correlated inputs' second moment."""
    draw = torch.Generator().manual_seed(seed)
    stream = Hessian(COLS)
    mix = torch.randn(COLS, COLS, generator=draw)
    stream.add(torch.randn(200, COLS, generator=draw) @ mix)
    w = torch.randn(ROWS, COLS, generator=draw)
    place = torch.randperm(w.numel(), generator=draw)[:outliers]
    w.view(-1)[place] = 20 * w.view(-1)[place].sign()
    return w, stream.matrix, place


def cost(w, quantized, h):
    delta = (w - quantized.dequantize()).double()
    return torch.einsum("ri,ij,rj->", delta, h, delta).item()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("act_order", [False, True])
def test_planted_outliers_are_kept_in_fp16(seed, act_order):
    w, h, place = layer(seed, outliers=5)
    q = spqr(w, h, SpQR(3, 16, act_order=act_order))
    rows = torch.arange(ROWS).repeat_interleave(q.starts.diff())
    kept = set((rows * COLS + q.columns).tolist())
    assert set(place.tolist()) <= kept, "a planted outlier was rounded"
    assert torch.equal(q.dequantize()[rows, q.columns], q.outliers)
    assert torch.equal(q.outliers.half().float(), q.outliers)


def test_the_threshold_trades_bits_for_error():
    w, h, _ = layer(1, outliers=8)
    steps = [spqr(w, h, SpQR(3, 16, threshold=t)) for t in (INF, 1.0, 0.3, 0.1, 0.03)]
    bits, costs = ([f(q) for q in steps] for f in (_bits, lambda q: cost(w, q, h)))
    assert bits == sorted(bits) and bits[0] < bits[-1]
    assert costs == sorted(costs, reverse=True) and costs[-1] < 0.1 * costs[0]
    assert len(steps[0].outliers) == 0


def _bits(q):
    return q.bits_per_weight


def test_outliers_buy_more_than_the_same_bits_of_smaller_groups():
    w, h, _ = layer(2, outliers=8)
    sparse = spqr(w, h, SpQR(3, 16, threshold=1.0))
    dense = gptq(w, h, GPTQ(3, 4))  # 3 + 19/4 bits
    assert sparse.bits_per_weight < dense.bits_per_weight
    assert cost(w, sparse, h) < cost(w, dense, h)


def test_a_weight_is_an_outlier_if_its_group_is_better_off_without_it():
    w = torch.tensor([[0.0, 1, 2, 3, 4, 5, 6, 7, 70]])
    alone = group_outliers(w, torch.ones(9), bits=3, threshold=30.0)
    assert alone.nonzero().tolist() == [[0, 8]], "0 … 7 fit three bits exactly"
    assert not group_outliers(w[:, :8], torch.ones(8), 3, 30.0).any()


def test_without_which_column_a_group_is_better_off_is_tried_for_each():
    draw = torch.Generator().manual_seed(1)
    w, importance = torch.randn(20, 8, generator=draw), torch.rand(8, generator=draw)

    def cost(values, weights):
        low, high = min(0, values.min().item()), max(0, values.max().item())
        s = (high - low) / 7
        moved = values - s * ((values / s - low / s).round().clamp(0, 7) + low / s)
        return (moved.square() * weights).sum().item()

    for threshold in (0.0, 0.02):
        for row, marked in zip(
            w, group_outliers(w, importance, 3, threshold), strict=True
        ):
            for k in range(8):
                others = [j for j in range(8) if j != k]
                gain = cost(row, importance) - cost(row[others], importance[others])
                assert marked[k] == (gain > threshold)


def test_the_threshold_is_relative_to_the_inputs_and_the_weights():
    w, h, _ = layer(6, outliers=5)
    plain = spqr(w, h, SpQR(3, 16))
    assert len(plain.outliers) >= 5
    louder = spqr(w, 16 * h, SpQR(3, 16))
    larger = spqr(8 * w, h, SpQR(3, 16))
    for other in (louder, larger):
        assert torch.equal(other.columns, plain.columns)
        assert torch.equal(other.starts, plain.starts)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_constants_move_at_most_half_a_step(bits):
    c = torch.rand(32, 5, generator=torch.Generator().manual_seed(0)) + 0.5
    level = Bilevel.fit(c, bits, 16)
    worst = (level.values() - c).abs() / level.step.repeat_interleave(16, 0)
    assert worst.max() <= 0.5 + 2**bits * 2**-10, "fp16 rounds low and step by 2^-11"
    assert level.storage_bits == bits * 160 + 32 * 10


def test_equal_constants_come_back():
    level = Bilevel.fit(torch.full((16, 2), 0.25), 3, 16)
    assert torch.equal(level.values(), torch.full((16, 2), 0.25))


@pytest.mark.parametrize("act_order", [False, True])
@pytest.mark.parametrize("threshold", [0.2, INF])
def test_the_stored_bytes_are_the_bits_that_are_claimed(act_order, threshold):
    w, h, _ = layer(3, outliers=4)
    q = spqr(w, h, SpQR(3, 16, act_order=act_order, threshold=threshold))
    tensors, metadata = serialize(q)
    bits = 8 * sum(t.nbytes for t in tensors.values())
    assert bits == q.bits_per_weight * w.numel()
    assert torch.equal(deserialize(tensors, metadata).dequantize(), q.dequantize())


def test_the_papers_three_bits_cost_3_625_without_outliers():
    w, h, _ = layer(4)
    pointers = 32 * (ROWS + 1) / w.numel()
    q = spqr(w, h, SpQR(threshold=INF))
    assert q.bits_per_weight == 3 + 6 / 16 + 64 / 256 + pointers


def test_a_bad_request_says_what_was_wrong():
    w, h, _ = layer(5)
    with pytest.raises(ValueError, match="constant_rows=16 does not divide 10 rows"):
        spqr(w[:10], h)
    with pytest.raises(ValueError, match="group=24 does not divide the 32 columns"):
        spqr(w, h, SpQR(group=24))
    with pytest.raises(ValueError, match=r"w reaches 7\.?.*e\+04"):
        spqr(torch.full((16, 32), 7e4), h)
    for settings in ({"bits": 0}, {"group": 1}, {"threshold": 0.0}, {"damping": -1.0}):
        with pytest.raises(ValueError, match=f"{next(iter(settings))}="):
            SpQR(**settings)
