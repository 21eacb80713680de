"""Masks bit for bit as lib.prune makes them, by every kernel; 2:4 there and back."""

import pytest
import torch

from lib.kernels import (
    TwoOfFour,
    compress_two_of_four,
    decompress_two_of_four,
    prune_n_of_m,
    prune_per_row,
)
from lib.kernels.two_of_four.storage import (
    compress_reference,
    decompress_reference,
    launch_compress,
    launch_decompress,
)
from lib.kernels.wanda.masks import (
    MAX_HELD_BYTES,
    STREAMED_COLS,
    checked_norm,
    launch_n_of_m,
    launch_per_row,
)
from lib.prune import kept_n_of_m, kept_per_row, wanda_score
from lib.prune.masks import kept_count

HALF = torch.float16
DTYPES = [HALF, torch.bfloat16, torch.float32]
pytestmark = [
    pytest.mark.usefixtures("poisoned", "poisoned_bytes"),
    pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning"),  # 0 · ∞
    pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning"),
]


@pytest.fixture
def poisoned_bytes(poisoned, monkeypatch):
    """A byte that a kernel leaves unwritten is 255, which no result holds."""
    empty = torch.Tensor.new_empty

    def poison(*args, **kwargs):
        out = empty(*args, **kwargs)
        return out.fill_(255) if out.dtype == torch.uint8 else out

    monkeypatch.setattr(torch.Tensor, "new_empty", poison)


def drawn(rows, cols, generator, dtype=HALF):
    """W and norms, of which many scores are equal."""
    w = torch.randn(rows, cols, generator=generator).mul(4).round().div(4)
    norm = torch.randint(1, 4, (cols,), generator=generator).float()
    return w.to(dtype), norm


def check(out, w, keep):
    """W where kept and +0 elsewhere, bit for bit; or the mask."""
    if out.dtype == torch.bool:
        assert torch.equal(out.cpu().view(torch.uint8), keep.view(torch.uint8))
        return
    assert out.dtype == w.dtype
    assert torch.equal(bits(out.cpu()), bits(w.masked_fill(~keep, 0)))


def bits(w):
    """The numbers as integers, so that -0 is not 0; one NaN is as good as another."""
    w = torch.where(w.isnan(), torch.nan, w)
    return w.view(torch.int32 if w.dtype == torch.float32 else torch.int16)


def run_n_of_m(w, norm, n, m, device, **options):
    out = launch_n_of_m(w.to(device), norm.to(device), n, m, **options)
    check(out, w, kept_n_of_m(wanda_score(w, norm), n, m))


def run_per_row(w, norm, sparsity, device, **options):
    k = kept_count(w.shape[1], sparsity)
    out = launch_per_row(w.to(device), norm.to(device), k, **options)
    check(out, w, kept_per_row(wanda_score(w, norm), sparsity))


@pytest.mark.parametrize("naive", [True, False])
@pytest.mark.parametrize(
    ("n", "m"), [(1, 2), (1, 4), (2, 4), (3, 4), (4, 8), (7, 8), (1, 16), (8, 16)]
)
def test_n_of_m(n, m, naive, device, generator):
    run_n_of_m(*drawn(5, 3 * m, generator), n, m, device, naive=naive)


@pytest.mark.parametrize("naive", [True, False])
@pytest.mark.parametrize(("rows", "cols"), [(1, 4), (5, 1028), (129, 28), (3, 2048)])
def test_sizes_that_straddle_the_tile(rows, cols, naive, device, generator):
    run_n_of_m(*drawn(rows, cols, generator), 2, 4, device, naive=naive)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(dtype, device, generator):
    w, norm = drawn(3, 64, generator, dtype)
    norm = norm * torch.rand(64, generator=generator)
    run_n_of_m(w, norm, 2, 4, device)
    run_per_row(w, norm, 0.3, device)
    check_compressed(w, norm, device)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("sparsity", [0.0, 0.01, 0.5, 0.7, 0.999, 1.0])
def test_per_row(sparsity, streamed, device, generator):
    run_per_row(*drawn(2, 150, generator), sparsity, device, streamed=streamed)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("cols", [1, 2, 31, 33, 1024, STREAMED_COLS + 3])
def test_rows_that_straddle_the_block(cols, streamed, device, generator):
    w = torch.randn(2, cols, generator=generator).half()
    norm = torch.rand(cols, generator=generator)
    run_per_row(w, norm, 0.6, device, streamed=streamed)


def test_equals_that_straddle_the_chunks_of_a_row(device):
    w = torch.ones(1, STREAMED_COLS + 64).half()
    run_per_row(w, torch.ones(STREAMED_COLS + 64), 0.005, device, streamed=True)


def test_a_row_too_long_to_hold(device, generator):
    w, norm = drawn(1, MAX_HELD_BYTES // 4 + 1, generator, torch.float32)
    run_per_row(w, norm, 0.5, device)


@pytest.mark.parametrize("other", [True, False])
def test_masks(other, device, generator):
    for cols in (64, 1032):
        w, norm = drawn(3, cols, generator)
        run_n_of_m(w, norm, 2, 4, device, mask=True, naive=other)
        run_per_row(w, norm, 0.5, device, mask=True, streamed=other)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("value", [0.0, 2.0, torch.inf, torch.nan])
def test_a_row_of_equals_is_cut_after_its_first_columns(value, streamed, device):
    w = torch.full((2, 40), value).half()
    for sparsity in (0.25, 1.0):
        run_per_row(w, torch.ones(40), sparsity, device, streamed=streamed)
    run_n_of_m(w, torch.ones(40), 3, 8, device)


def extremes(generator, dtype):
    """Denormals, both zeros, both infinities and NaN of both signs, in any order."""
    tiny = torch.finfo(dtype).smallest_normal
    special = [0.0, -0.0, tiny, -tiny / 2, tiny / 4, torch.inf, -torch.inf, torch.nan]
    at = torch.randint(0, len(special), (2, 64), generator=generator)
    w = torch.tensor(special)[at].to(dtype)
    w[0] = -w[0]
    norms = torch.tensor([0.0, 2.0**-140, 1.0, -1.0, 3e38, torch.inf, torch.nan, 1e-30])
    return w, norms[torch.randint(0, len(norms), (64,), generator=generator)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_extremes_have_their_place(dtype, device, generator):
    w, norm = extremes(generator, dtype)
    for norms in (norm, torch.ones(64)):
        for mask in (False, True):
            run_n_of_m(w, norms, 2, 4, device, mask=mask)
            run_per_row(w, norms, 0.5, device, mask=mask)
        run_n_of_m(w, norms, 2, 4, device, mask=True, naive=True)
        run_per_row(w, norms, 0.5, device, mask=True, streamed=True)
        check_compressed(w, norms, device)


def test_every_nan_is_alike(device):
    """Of quiet and signalling ones, with any payload, the lower columns are kept."""
    w = torch.tensor([0x7F800001, 0x7FC00000, -1, 0x7FFFFFFF] * 2, dtype=torch.int32)
    w = w.view(torch.float32)[None]
    run_n_of_m(w, torch.ones(8), 2, 4, device, mask=True)
    for streamed in (False, True):
        run_per_row(w, torch.ones(8), 0.5, device, mask=True, streamed=streamed)


def test_a_product_that_is_denormal_is_not_zero(device):
    w = torch.tensor([[1.0, 2, 3, 4]]).half()
    norm = torch.full((4,), 2.0**-149)
    out = launch_n_of_m(w.to(device), norm.to(device), 2, 4)
    assert out.tolist() == [[0, 0, 3, 4]]


def check_compressed(w, norm, device):
    """Values and indices as the reference has them, and both back to the pruned W."""
    values, indices = launch_compress(w.to(device), norm.to(device))
    expected = compress_reference(w, norm)
    assert torch.equal(bits(values.cpu()), bits(expected[0]))
    assert torch.equal(indices.cpu(), expected[1])
    back = launch_decompress(values, indices)
    check(back, w, kept_n_of_m(wanda_score(w, norm), 2, 4))
    check(decompress_reference(*expected), w, kept_n_of_m(wanda_score(w, norm), 2, 4))


@pytest.mark.parametrize(("rows", "cols"), [(1, 8), (5, 24), (3, 1032), (70, 64)])
def test_compression(rows, cols, device, generator):
    check_compressed(*drawn(rows, cols, generator), device)


def test_two_of_four_come_back_exactly(device, generator):
    w = launch_n_of_m(*(x.to(device) for x in drawn(9, 88, generator)), 2, 4)
    w[0, :8] = torch.tensor([0, 0, 0, 5, 0, 0, 0, 0])  # fewer than two
    values, indices = launch_compress(w, torch.ones(88, device=device))
    assert torch.equal(launch_decompress(values, indices), w)


def test_where_the_indices_lie(device):
    w = torch.tensor([[0, 7, 0, 8, 9, 0, 6, 0]]).half().to(device)
    values, indices = launch_compress(w, torch.ones(8, device=device))
    assert values.tolist() == [[7, 8, 9, 6]]
    assert indices.tolist() == [[0b1000_1101]], "2 0 above 3 1"


def test_a_view_that_is_not_contiguous(device, generator):
    w, norm = drawn(32, 6, generator)
    w, norm = w.to(device).T, torch.ones(64, device=device)[::2]
    keep = kept_n_of_m(wanda_score(w.cpu(), norm.cpu()), 2, 4)
    check(launch_n_of_m(w, norm.contiguous(), 2, 4), w.cpu(), keep)
    check(prune_n_of_m(w, norm), w.cpu(), keep)


def test_the_entries(device, generator):
    w, norm = (x.to(device) for x in drawn(4, 64, generator))
    score = wanda_score(w.cpu(), norm.cpu())
    check(prune_n_of_m(w, norm, n=1, m=8), w.cpu(), kept_n_of_m(score, 1, 8))
    check(prune_per_row(w, norm, sparsity=0.3), w.cpu(), kept_per_row(score, 0.3))
    kept = compress_two_of_four(w, norm)
    assert kept.nbytes == w.nbytes * 9 // 16
    back = decompress_two_of_four(kept)
    check(back, w.cpu(), kept_n_of_m(score, 2, 4))
    assert torch.equal(decompress_two_of_four(compress_two_of_four(back)), back)
    size = w.cpu().float().abs()
    check(prune_n_of_m(w, mask=True), w.cpu(), kept_n_of_m(size, 2, 4))


@pytest.mark.parametrize("shape", [(0, 64), (3, 0)])
def test_nothing_is_pruned_to_nothing(shape, device):
    w = torch.zeros(shape, device=device)
    for mask in (False, True):
        assert prune_n_of_m(w, mask=mask).shape == shape
        assert prune_per_row(w, sparsity=0.5, mask=mask).shape == shape
    assert decompress_two_of_four(compress_two_of_four(w)).shape == shape


def test_the_entries_are_one_node_for_the_compiler(device, generator):
    w, norm = (x.to(device) for x in drawn(4, 64, generator))
    values, indices = compress_reference(w, norm)
    operations = torch.ops.llm_compression
    for operation, arguments in (
        (operations.prune_n_of_m, (w, norm, 2, 4, True)),
        (operations.prune_per_row, (w, norm, 0.5, False)),
        (operations.compress_two_of_four, (w, norm)),
        (operations.decompress_two_of_four, (values, indices)),
    ):
        tests = ("test_schema", "test_faketensor")
        torch.library.opcheck(operation, arguments, test_utils=tests)


def test_what_is_refused():
    w = torch.ones(2, 24)
    with pytest.raises(ValueError, match="m=32 does not divide the 24"):
        prune_n_of_m(w, n=1, m=32)
    for m in (3, 24):
        with pytest.raises(ValueError, match=f"m={m} is not a power of two"):
            prune_n_of_m(w, n=1, m=m)
    with pytest.raises(ValueError, match=r"sparsity=1\.5"):
        prune_per_row(w, sparsity=1.5)
    with pytest.raises(ValueError, match="8 does not divide the 12"):
        compress_two_of_four(w[:, :12])
    with pytest.raises(ValueError, match=r"torch\.float64"):
        prune_n_of_m(w.double())
    with pytest.raises(ValueError, match=r"float64 of shape \(24,\)"):
        prune_n_of_m(w, torch.ones(24).double())
    with pytest.raises(ValueError, match=r"\(23,\), not float32 for 24 columns"):
        prune_n_of_m(w, torch.ones(23))
    with pytest.raises(ValueError, match="norm is on meta"):
        prune_n_of_m(w, torch.ones(24, device="meta"))
    with pytest.raises(ValueError, match="gradient"):
        prune_n_of_m(w.requires_grad_())
    with pytest.raises(ValueError, match=r"\(1, 2, 24\) is no matrix"):
        checked_norm(w.detach()[None], None)
    with pytest.raises(ValueError, match=r"indices of shape \(2, 2\)"):
        TwoOfFour(torch.zeros(2, 4), torch.zeros(2, 2, dtype=torch.uint8))
