"""SparseGPT's loop in registers prunes as the one in lib.prune does."""

import pytest
import torch

from lib.kernels.gptq import sparse as kernel
from lib.prune.masks import kept_n_of_m
from lib.prune.sparsegpt import sparse_gpt

# Sums in another order move a weight by float32's rounding: where two scores are within
# that of each other the other one stays, and its error then moves the columns after it.
AGREE, NEAR = 0.995, 0.01

pytestmark = pytest.mark.usefixtures("poisoned")


def layer(rows, cols, generator, tokens=400):
    """A weight with one dead input, and the second moment of correlated inputs."""
    mix = torch.randn(cols, cols, generator=generator) / cols**0.5
    x = torch.randn(tokens, cols, generator=generator) @ (torch.eye(cols) + mix)
    x[:, 3] = 0
    return torch.randn(rows, cols, generator=generator), 2 / tokens * x.T @ x


def output_error(w, pruned, hessian):
    delta = (w - pruned).double()
    return ((delta @ hessian.double()) * delta).sum().item()


@pytest.mark.parametrize(
    ("rows", "cols", "pattern", "mask_block"),
    [
        (5, 64, 0.5, 128),  # fewer columns than a block
        (17, 160, 0.5, 64),  # two blocks and a part of one
        (16, 128, 0.7, 48),
        (9, 132, (2, 4), 128),  # a block and a part of one
        (16, 96, (4, 8), 128),
        (7, 60, (1, 3), 128),
    ],
)
def test_weights_masks_and_error_are_those_of_lib_prune(
    rows, cols, pattern, mask_block, device, generator, by_kernel
):
    by_kernel("sparse_columns", kernel._on_cuda)
    w, hessian = layer(rows, cols, generator)
    expected = sparse_gpt(w, hessian, pattern, mask_block=mask_block)
    weight, kept = kernel.sparse_weight(
        w.to(device), hessian.to(device), pattern, mask_block=mask_block
    )
    assert by_kernel.ran == (["sparse_columns"] if device == "cpu" else [])
    weight, kept = weight.cpu(), kept.cpu()
    assert kept.sum() == expected.kept.sum(), "a count is exact"
    same = (kept == expected.kept).float().mean()
    assert same > AGREE, f"{1 - same:.2%} of the mask differs"
    assert (weight[~kept] == 0).all()
    errors = (output_error(w, x, hessian) for x in (weight, expected.weight))
    assert next(errors) == pytest.approx(next(errors), rel=NEAR)


@pytest.mark.parametrize("n_of_m", [(2, 4), (1, 4), (3, 8)])
def test_with_nothing_to_cancel_the_earlier_of_equals_stays(n_of_m, device, generator):
    w = torch.randint(-2, 3, (20, 72), generator=generator).float()
    eye = torch.eye(72, device=device)
    left, kept = kernel.launch(w.T.contiguous().to(device), eye, n_of_m, n_of_m[1])
    expected = kept_n_of_m(w.abs(), *n_of_m)
    assert torch.equal(kept.cpu().T.bool(), expected)
    assert torch.equal(left.cpu().T, w * expected)


def test_the_entry_and_what_it_refuses(generator):
    w, hessian = layer(4, 64, generator)
    expected = sparse_gpt(w, hessian, 0.5, mask_block=32)
    weight, kept = kernel.sparse_weight(w, hessian, 0.5, mask_block=32)
    assert torch.equal(weight, expected.weight) and torch.equal(kept, expected.kept)
    with pytest.raises(ValueError, match="256 columns share a mask"):
        kernel.sparse_weight(w, hessian, 0.5, mask_block=256)
    with pytest.raises(ValueError, match="m=3 does not divide"):
        kernel.sparse_weight(w, hessian, (1, 3))
    torch.library.opcheck(
        torch.ops.llm_compression.sparse_columns,
        (w.T.contiguous(), torch.eye(64), 2, 4, 0.0, 4),
        test_utils=("test_schema", "test_faketensor"),
    )
