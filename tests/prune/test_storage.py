"""What is stored comes back, in as many bits as the file's table says."""

import pytest
import torch

from lib.kernels.two_of_four.storage import compress_reference
from lib.prune.magnitude import Magnitude, kept_blocks
from lib.prune.masks import kept_by, kept_n_of_m
from lib.prune.n_of_m import NOfM
from lib.prune.storage import CSR, Bitmap, BlockSparse, SparseCodes
from lib.quant.serialize import deserialize, serialize
from lib.quant.uniform.grid import dequantize, fit_grid, quantize

ROWS, COLS = 48, 80


@pytest.fixture
def w(generator):
    return torch.randn(ROWS, COLS, generator=generator)


@pytest.fixture
def x(generator):
    return torch.randn(7, COLS, generator=generator)


def halved(w, sparsity, dtype):
    kept = kept_by(w.abs(), sparsity, per_row=False)
    return (w * kept).to(dtype), int(kept.sum())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 1.0])
def test_bitmap_and_csr_come_back_in_the_bits_they_claim(w, sparsity, dtype):
    sparse, kept = halved(w, sparsity, dtype)
    bits = torch.finfo(dtype).bits
    bitmap, csr = Bitmap.compress(sparse), CSR.compress(sparse)
    for stored in (bitmap, csr):
        assert torch.equal(stored.dequantize(), sparse.float())
    assert bitmap.nbytes == ROWS * COLS // 8 + kept * bits // 8
    assert csr.nbytes == 4 * (ROWS + 1) + kept * (2 + bits // 8)
    share = kept / (ROWS * COLS)
    assert bitmap.bits_per_weight == pytest.approx(1 + share * bits)


def test_csr_in_16_bits_saves_nothing_at_one_half(w):
    for sparsity, saves in ((0.4, False), (0.5, False), (0.6, True)):
        sparse, _ = halved(w, sparsity, torch.float16)
        assert (CSR.compress(sparse).nbytes < sparse.nbytes) == saves
        assert Bitmap.compress(sparse).nbytes < sparse.nbytes


@pytest.mark.parametrize("sparsity", [0.3, 0.95, 1.0])
def test_a_csr_product_is_the_dense_one(w, x, sparsity):
    sparse, _ = halved(w, sparsity, torch.float32)
    csr = CSR.compress(sparse)
    for y in (csr.product(x), csr.plain_product(x)):
        assert torch.allclose(y, x @ sparse.T, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_csr_product_has_the_dtype_of_its_input(w, x, dtype):
    sparse, _ = halved(w, 0.5, torch.float32)
    y = CSR.compress(sparse).product(x.to(dtype))
    assert y.dtype == dtype
    expected = x.to(dtype).float() @ sparse.T
    torch.testing.assert_close(y, expected.to(dtype), rtol=1e-2, atol=1e-4)
    stored = CSR.compress(sparse.to(dtype))
    torch.testing.assert_close(stored.product(x), x @ sparse.to(dtype).float().T)


@pytest.mark.parametrize("block", [4, 8, 16])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 1.0])
def test_blocks_come_back_and_multiply(w, x, block, sparsity):
    sparse = w * kept_blocks(w, sparsity, block=block)
    stored = BlockSparse.compress(sparse, block=block)
    assert torch.equal(stored.dequantize(), sparse)
    assert torch.allclose(stored.product(x), x @ sparse.T, atol=1e-5)
    blocks = int((sparse != 0).sum()) // block**2
    assert stored.nbytes == 4 * (ROWS // block + 1) + blocks * (2 + 4 * block**2)


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 2), (4, 8), (3, 5), (1, 16)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_n_of_m_comes_back_and_multiplies(w, x, n, m, dtype):
    sparse = (w * kept_n_of_m(w.abs(), n, m)).to(dtype)
    stored = NOfM.compress(sparse, n, m)
    assert torch.equal(stored.dequantize(), sparse.float())
    assert torch.allclose(stored.product(x), x @ sparse.float().T, atol=1e-5)
    bits = torch.finfo(dtype).bits + (m - 1).bit_length()
    assert stored.bits_per_weight == pytest.approx(n / m * bits, rel=1e-3)


def test_two_of_four_has_the_bytes_of_the_kernels(w):
    sparse = w * kept_n_of_m(w.abs(), 2, 4)
    sparse[0, :4] = 0  # a run with nothing to keep
    values, indices = compress_reference(sparse, torch.ones(COLS))
    ours = NOfM.compress(sparse, 2, 4)
    assert torch.equal(ours.values, values)
    assert torch.equal(ours.places, indices.flatten())


def test_codes_of_what_is_kept_come_back(w, generator):
    grid = fit_grid(w, bits=3, group=16)
    grid.scale.copy_(grid.scale.half())
    codes, kept = quantize(w, grid), torch.rand(w.shape, generator=generator) < 0.4
    stored = SparseCodes.compress(kept, codes, grid)
    assert torch.equal(stored.dequantize(), dequantize(codes, grid) * kept)
    groups, share = ROWS * COLS // 16, kept.float().mean().item()
    claimed = 1 + 3 * share + groups * (16 + 3) / w.numel()
    assert stored.bits_per_weight == pytest.approx(claimed, abs=0.01)


def test_every_kind_has_a_file_of_its_claimed_size(w):
    grid = fit_grid(w, bits=4, group=16)
    grid.scale.copy_(grid.scale.half())
    halves = w * kept_n_of_m(w.abs(), 2, 4)
    for stored in (
        Magnitude(0.7).quantize(w, None),
        NOfM.compress(halves.half(), 2, 4),
        SparseCodes.compress(halves != 0, quantize(w, grid), grid),
    ):
        tensors, metadata = serialize(stored)
        assert sum(t.nbytes for t in tensors.values()) == stored.nbytes
        assert metadata["shape"] == [ROWS, COLS]
        again = deserialize(tensors, metadata)
        assert torch.equal(again.dequantize(), stored.dequantize())


def test_what_is_refused(w):
    with pytest.raises(ValueError, match="block=7 does not divide"):
        BlockSparse.compress(w, block=7)
    with pytest.raises(ValueError, match="4 of 4 neighbours are not 0, more than n=2"):
        NOfM.compress(w, 2, 4)
    with pytest.raises(ValueError, match="m=3 does not divide the 80"):
        NOfM.compress(w, 1, 3)
    with pytest.raises(ValueError, match="65537 columns do not fit 16 bits"):
        CSR.compress(torch.zeros(1, 2**16 + 1))
    signed = fit_grid(w, bits=4, group=16, symmetric=True)
    with pytest.raises(ValueError, match="only unsigned"):
        SparseCodes.compress(w != 0, torch.zeros_like(w, dtype=torch.uint8), signed)
