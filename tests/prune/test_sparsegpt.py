"""What the loop books is the error; easy moments give magnitude and Wanda back."""

import pytest
import torch

from lib.prune.masks import kept_by, kept_n_of_m
from lib.prune.refit import damped_hessian, refit
from lib.prune.sparsegpt import SparseGPT, sparse_gpt
from lib.prune.wanda import Wanda, column_norms, wanda_score
from lib.quant.hessian import Hessian
from lib.quant.solvers.gptq import GPTQ, gptq

ROWS, COLS = 24, 96
PATTERNS = [0.3, 0.5, 0.9, (2, 4), (4, 8), (1, 3)]


@pytest.fixture
def layer():
    """W, inputs whose features move together, and their H, in float64."""
    draw = torch.Generator().manual_seed(0)
    mix = torch.randn(COLS, COLS, generator=draw, dtype=torch.float64)
    x = torch.randn(400, COLS, generator=draw, dtype=torch.float64) @ mix
    w = torch.randn(ROWS, COLS, generator=draw, dtype=torch.float64)
    return w, x, 2 / 400 * x.T @ x


def error(w, other, h):
    return torch.einsum("ri,ij,rj->", w - other, h, w - other).item()


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("mask_block", [32, 50, 128])
def test_what_is_booked_is_the_layers_error(pattern, mask_block, layer):
    w, _, h = layer
    found = sparse_gpt(w, h, pattern, mask_block=mask_block)
    assert torch.equal(found.weight != 0, found.kept)
    expected = error(w, found.weight, damped_hessian(h, 0.01))
    assert found.losses.sum().item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_with_the_identity_it_is_magnitude(pattern, layer):
    w, _, h = layer
    found = sparse_gpt(w, torch.eye(COLS).to(h), pattern, mask_block=COLS, damping=0.0)
    kept = kept_by(w.abs(), pattern, per_row=False)
    assert torch.equal(found.kept, kept)
    assert torch.equal(found.weight, w * kept), "and nothing else is changed"


@pytest.mark.parametrize("n_of_m", [(2, 4), (4, 8), (1, 3)])
def test_with_a_diagonal_its_n_of_m_is_wandas(n_of_m, layer, generator):
    w = layer[0].float()
    x = torch.diag(torch.rand(COLS, generator=generator) + 0.1)  # one token a feature
    inputs = Hessian(COLS)
    inputs.add(x)
    found = sparse_gpt(w, inputs.matrix, n_of_m, damping=0.0)
    kept = kept_n_of_m(wanda_score(w, column_norms(x)), *n_of_m)
    assert torch.equal(found.kept, kept)
    assert torch.equal(found.weight, w * kept)
    ours = Wanda(n_of_m, dtype="float32").quantize(w, inputs).dequantize()
    assert torch.equal(ours, found.weight)


def published(w, h, sparsity, n_of_m=None, percdamp=0.01, blocksize=32):
    """IST-DASLab/sparsegpt's `fasterprune`, plainly, but for its off-by-one count."""
    w, h, cols = w.clone(), h.clone(), w.shape[1]
    dead = h.diagonal() == 0
    h[dead, dead] = 1
    w[:, dead] = 0
    h += percdamp * h.diagonal().mean() * torch.eye(cols).to(h)
    inverse = torch.linalg.cholesky(
        torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True
    )
    for start in range(0, cols, blocksize):
        stop = min(start + blocksize, cols)
        block, u = w[:, start:stop].clone(), inverse[start:stop, start:stop]
        errors, mask = torch.zeros_like(block), torch.zeros_like(block).bool()
        if n_of_m is None:
            score = block**2 / u.diagonal() ** 2
            limit = score.flatten().sort().values[int(score.numel() * sparsity)]
            mask = score < limit  # upstream has <=, which drops one more
        for i in range(stop - start):
            if n_of_m is not None and i % n_of_m[1] == 0:
                n, m = n_of_m
                score = block[:, i : i + m] ** 2 / u.diagonal()[i : i + m] ** 2
                worst = score.topk(m - n, dim=1, largest=False).indices
                mask.scatter_(1, i + worst, True)
            q = block[:, i].clone()
            q[mask[:, i]] = 0
            e = (block[:, i] - q) / u[i, i]
            block[:, i:] -= e[:, None] * u[i, i:]
            block[:, i], errors[:, i] = q, e
        w[:, start:stop] = block
        w[:, stop:] -= errors @ inverse[start:stop, stop:]
    return w


@pytest.mark.parametrize("pattern", [0.3, 0.5, 0.8, (2, 4), (4, 8)])
def test_it_agrees_with_the_published_loop(pattern, layer):
    w, _, h = layer
    n_of_m = pattern if isinstance(pattern, tuple) else None
    theirs = published(w, h, pattern, n_of_m)
    ours = sparse_gpt(w, h, pattern, mask_block=32)
    assert torch.equal(ours.kept, theirs != 0)
    assert torch.allclose(ours.weight, theirs, rtol=0, atol=1e-10)


def published_wanda(w, x, sparsity, n_of_m=None):
    """locuslab/wanda's `prune_wanda`: scaler_row is the mean square of a feature."""
    metric = w.abs() * x.square().mean(0).sqrt()
    mask = torch.zeros_like(w).bool()
    if n_of_m is None:
        order = metric.sort(dim=-1, stable=True).indices
        mask.scatter_(1, order[:, : int(w.shape[1] * sparsity)], True)
    else:
        n, m = n_of_m
        for i in range(0, w.shape[1], m):
            worst = metric[:, i : i + m].topk(m - n, dim=1, largest=False).indices
            mask.scatter_(1, i + worst, True)
    return w.masked_fill(mask, 0)


@pytest.mark.parametrize("pattern", [0.3, 0.5, 0.8, (2, 4), (4, 8)])
def test_wanda_agrees_with_the_published_one(pattern, layer):
    w, x, _ = (t.float() for t in layer)
    inputs = Hessian(COLS)
    inputs.add(x)
    n_of_m = pattern if isinstance(pattern, tuple) else None
    theirs = published_wanda(w, x, pattern, n_of_m)
    ours = Wanda(pattern, dtype="float32").quantize(w, inputs).dequantize()
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 1.0])
def test_every_block_loses_its_share_even_of_equals(sparsity, layer):
    w, _, h = layer
    w = (2 * w).round() / 2  # dequantized weights are full of ties
    found = sparse_gpt(w, h, sparsity, mask_block=40)
    for start in (0, 40, 80):
        block = found.kept[:, start : start + 40]
        assert (~block).sum() == int(block.numel() * sparsity)
    first = found.kept[:, :40]
    pivots = torch.linalg.cholesky(
        torch.linalg.inv(damped_hessian(h, 0.01)), upper=True
    ).diagonal()
    score = (w[:, :40] / pivots[:40]).abs()
    gap = score[first].min() - score[~first].max() if 0 < sparsity < 1 else 0
    assert gap >= -1e-9, "the first block's mask is read from the weights as they were"


@pytest.mark.parametrize("pattern", [0.5, (2, 4)])
def test_dead_inputs_go_first_and_disturb_nobody(pattern, layer):
    w, x, _ = layer
    x[:, [3, 50]] = 0
    h = 2 / 400 * x.T @ x
    found = sparse_gpt(1e3 * w, h, pattern)
    assert not found.kept[:, [3, 50]].any(), "huge weights of inputs that never fire"
    assert (found.weight[:, [3, 50]] == 0).all()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_refit_errs_least_then_the_loop_then_on_such_inputs_the_mask(pattern, layer):
    w, _, h = layer
    h = damped_hessian(h, 0.01)
    found = sparse_gpt(w, h, pattern, damping=0.0)
    best = error(w, refit(w, found.kept, h, damping=0.0), h)
    loop, mask = error(w, found.weight, h), error(w, w * found.kept, h)
    assert best < loop < mask


def test_the_loop_may_err_more_than_its_mask_alone():
    """x₁ = x₂ − x₃ nearly: w₁ moves into w₂ and w₃, and then w₃ is dropped."""
    z = 10 * torch.randn(500, generator=torch.Generator().manual_seed(0)).double()
    a = torch.randn(500, generator=torch.Generator().manual_seed(1)).double()
    x = torch.stack([a + 0.01 * z.flip(0), z + a, z], 1)
    h = 2 / 500 * x.T @ x
    w = torch.tensor([[0.5, 1.0, 0.0]], dtype=torch.float64)
    found = sparse_gpt(w, h, 0.67, damping=0.0)
    assert found.kept.tolist() == [[False, True, False]]
    alone, loop = error(w, w * found.kept, h), error(w, found.weight, h)
    assert loop > 10 * alone
    assert error(w, refit(w, found.kept, h, damping=0.0), h) <= alone


@pytest.mark.parametrize("pattern", [0.5, (2, 4)])
def test_on_a_grid_too_the_books_balance_and_codes_come_back(pattern, layer):
    w, x, h = (t.float() for t in layer)
    inputs = Hessian(COLS)
    inputs.add(x)
    h = inputs.matrix.float()
    grid = GPTQ(4, 32)
    found = sparse_gpt(w, h, pattern, grid=grid)
    expected = error(w, found.weight, damped_hessian(h, 0.01))
    assert found.losses.sum().item() == pytest.approx(expected, rel=1e-3)
    stored = SparseGPT(pattern, bits=4, group=32).quantize(w, inputs)
    assert torch.equal(stored.dequantize(), found.weight)
    assert stored.bits_per_weight == pytest.approx(1 + 4 / 2 + 20 / 32, abs=0.01)
    later = torch.where(found.kept, gptq(found.weight, h, grid).dequantize(), 0)
    assert error(w, found.weight, h) < error(w, later, h), "one pass beats two"


def test_with_nothing_to_drop_it_is_gptq(layer):
    w, _, h = (t.float() for t in layer)
    ours = sparse_gpt(w, h, 0.0, mask_block=32, grid=GPTQ(3, 32))
    assert torch.equal(ours.weight, gptq(w, h, GPTQ(3, 32)).dequantize())


@pytest.mark.usefixtures("as_a_user")
def test_what_is_refused(layer):
    w, _, h = layer
    with pytest.raises(ValueError, match="m=7 does not divide the 96"):
        sparse_gpt(w, h, (2, 7))
    with pytest.raises(ValueError, match="mask_block=0"):
        sparse_gpt(w, h, 0.5, mask_block=0)
    with pytest.raises(ValueError, match=r"H is \(95, 95\), and w has 96"):
        sparse_gpt(w, h[1:, 1:], 0.5)
    with pytest.raises(ValueError, match="group=64 does not divide the 96"):
        sparse_gpt(w, h, 0.5, grid=GPTQ(4, 64))
    with pytest.raises(ValueError, match="refit=True with bits=4"):
        SparseGPT(0.5, True, bits=4)
    with pytest.raises(ValueError, match="mask_block=-1"):
        SparseGPT(0.5, mask_block=-1)
