"""XᵀX by tiles below the diagonal is the product, and H a running mean."""

import pytest
import torch

from lib.kernels.core.tiles import Tile
from lib.kernels.hessian import gram as kernel
from lib.kernels.hessian.gram_triton import _tile
from lib.quant import hessian as quant

SMALL = Tile(16, 16, warps=1, stages=1)
PRODUCTS = 2.0**-22  # what the pieces of a float32 product leave out

pytestmark = pytest.mark.usefixtures("poisoned")


def problem(tokens, k, dtype, generator, device):
    x = torch.randn(tokens, k, generator=generator) + 0.5
    h = torch.randn(k, k, generator=generator)
    return x.to(device, dtype), (h + h.T).to(device)


def checked(h, x, before, keep, gain):
    """Within the bound that the kernel's file states, and symmetric bit for bit."""
    wide, old = x.double(), before.double()
    exact = keep * old + gain * wide.T @ wide
    terms = keep * old.abs() + gain * wide.abs().T @ wide.abs()
    bound = (2.0**-24 * (len(x) + 4) + PRODUCTS) * terms
    assert ((h - exact).abs() <= bound).all(), ((h - exact).abs() / bound).max()
    assert torch.equal(h, h.T)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    ("tokens", "k"), [(1, 1), (16, 16), (17, 15), (31, 33), (5, 40)]
)
@pytest.mark.parametrize("splits", [1, 3])
def test_it_is_the_product(tokens, k, dtype, splits, device, generator):
    x, before = problem(tokens, k, dtype, generator, device)
    tile = Tile(16, 16, splits, warps=1, stages=1)
    for options in ({"tile": tile}, {"naive": True})[: 1 + (k < 20)]:
        h = before.clone()
        kernel.launch(h, x, keep=0.75, gain=0.5, **options)
        checked(h, x, before, 0.75, 0.5)


def test_the_tile_that_runs_on_a_gpu(device, generator):
    x, before = problem(130, 144, torch.float16, generator, device)
    for splits in (1, 2):
        tile = Tile(kernel.SIZE, 64, splits, warps=8, stages=3)
        h = before.clone()
        kernel.launch(h, x, tile, keep=1.0, gain=2.0)
        checked(h, x, before, 1.0, 2.0)


def test_kept_by_nothing_it_is_never_read(device, generator):
    x, _ = problem(20, 40, torch.float32, generator, device)
    for options in ({"naive": True}, {"tile": SMALL}):
        h = torch.full((40, 40), torch.nan, device=device)
        kernel.launch(h, x, keep=0.0, gain=1.0, **options)
        checked(h, x, torch.zeros_like(h), 0.0, 1.0)


def test_only_what_lies_below_the_diagonal_counts(device, generator):
    x, before = problem(20, 40, torch.float32, generator, device)
    spoilt = before.tril() + torch.full_like(before, torch.nan).triu(1).nan_to_num(9)
    for tile in (SMALL, Tile(16, 16, 2, warps=1, stages=1)):
        kernel.launch(h := spoilt.clone(), x, tile, keep=1.0, gain=1.0)
        checked(h, x, before, 1.0, 1.0)
    kernel.gram_reference(h := spoilt.clone(), x, keep=1.0, gain=1.0)
    checked(h, x, before, 1.0, 1.0)


@pytest.mark.parametrize("naive", [True, False])
def test_no_tokens_only_scale(naive, device, generator):
    x, before = problem(0, 20, torch.float16, generator, device)
    kernel.launch(h := before.clone(), x, SMALL, keep=0.5, gain=1.0, naive=naive)
    assert torch.equal(h, before / 2)


def test_portions_run_to_the_mean_of_lib_quant(device, generator, monkeypatch):
    x, _ = problem(100, 40, torch.float16, generator, device)
    expected = quant.Hessian(40)
    expected.add(x.cpu())
    monkeypatch.setattr(kernel, "hessian_tile", lambda x: SMALL)
    h, seen = torch.full((40, 40), torch.nan, device=device), 0
    for portion in x.tensor_split([1, 30, 77]):
        after = seen + len(portion)
        kernel.launch(h, portion, keep=seen / after, gain=2 / after)
        seen = after
    error = (h.cpu() - expected.matrix).abs()
    assert (error <= 2.0**-24 * 110 * expected.matrix.diagonal().max()).all()


def test_every_tile_below_the_diagonal_has_one_program(device):
    """Far beyond the sizes that the interpreter could multiply."""
    from lib.kernels.core.compiler import tl, triton

    @triton.jit
    def places(first, out):
        p = first + tl.arange(0, 1024)
        i, j = _tile(p)
        tl.store(out + tl.arange(0, 1024), i)
        tl.store(out + 1024 + tl.arange(0, 1024), j)

    for n in (0, 45, 1000, 8191):
        out = torch.empty(2, 1024, dtype=torch.int32, device=device)
        first = kernel.triangle(n)
        places[(1,)](first, out)
        flat = [(i, j) for i in range(n, n + 1024) for j in range(i + 1)][:1024]
        assert out.T.tolist() == [list(pair) for pair in flat]


def test_the_rule_splits_where_tiles_are_few(monkeypatch):
    monkeypatch.setattr(kernel, "num_sms", lambda x: 132)
    for tokens, k, splits in (
        *((16384, 4096, 1), (16384, 8192, 1), (100, 576, 1)),
        *((1024, 576, 2), (16384, 576, 8), (16384, 2048, 4), (1024, 2048, 1)),
    ):
        tile = kernel.hessian_tile(torch.empty(tokens, k, dtype=torch.float16))
        assert tile.splits == splits, (tokens, k)


def test_the_stream_of_lib_quant_takes_the_kernel(
    device, generator, monkeypatch, by_kernel
):
    x = torch.randn(60, 24, generator=generator)
    plain, through = quant.Hessian(24), quant.Hessian(24)
    plain.add(x)
    if device == "cpu":
        monkeypatch.setattr(kernel, "hessian_tile", lambda x: SMALL)
        by_kernel("add_gram", kernel._on_cuda)
        monkeypatch.setattr(kernel, "runs_on", lambda device: True)
        monkeypatch.setattr(quant, "gram", kernel.gram_on_cuda)
    through.add(x.to(device))
    got, scale = through.matrix.cpu(), plain.matrix.diagonal().max()
    assert by_kernel.ran == (["add_gram"] if device == "cpu" else [])
    assert not torch.equal(got, plain.matrix), "it took another way"
    assert (got - plain.matrix).abs().max() <= 2.0**-20 * scale
    assert got.dtype == torch.float64 and through.samples == 60
    exact = quant.Hessian(24)
    exact.add(x.double().to(device))
    assert torch.allclose(exact.matrix.cpu(), 2 / 60 * x.double().T @ x.double())


def test_the_entry_and_what_it_refuses(generator):
    x, h = torch.randn(2, 9, 7, generator=generator), torch.zeros(7, 7)
    kernel.add_gram(h, x)
    flat = x.view(18, 7)
    assert torch.equal(h, quant.upper_gram(flat).float())
    for wrong in (h.double(), h[:6], h.expand(2, 7, 7), torch.zeros(14, 7)[::2]):
        with pytest.raises(ValueError, match="no contiguous square"):
            kernel.add_gram(wrong, x)
    with pytest.raises(ValueError, match="end in 7 columns"):
        kernel.add_gram(h, x[..., :5])
    with pytest.raises(ValueError, match="float64"):
        kernel.add_gram(h, x.double())
    torch.library.opcheck(
        torch.ops.llm_compression.add_gram,
        (h, flat, 0.5, 2.0),
        test_utils=("test_schema", "test_faketensor"),
    )
