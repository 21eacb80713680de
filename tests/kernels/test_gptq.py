"""The column loop in registers rounds as the one in lib.quant does."""

import pytest
import torch

from lib.kernels.gptq import columns as kernel
from lib.quant.solvers.gptq import GPTQ, gptq, ordered_factor

# Sums in another order move a weight by float32's rounding: a code within that of a tie
# falls to the other side, and its error then moves the codes after it in the same row.
AGREE, NEAR = 0.995, 0.01

pytestmark = pytest.mark.usefixtures("poisoned")


def layer(rows, cols, generator, tokens=400):
    """A weight, and the second moment of correlated inputs."""
    mix = torch.randn(cols, cols, generator=generator) / cols**0.5
    x = torch.randn(tokens, cols, generator=generator) @ (torch.eye(cols) + mix)
    return torch.randn(rows, cols, generator=generator), 2 / tokens * x.T @ x


def through(w, hessian, settings, device, by_kernel):
    """`gptq_codes` with the kernel under it, wherever this runs."""
    by_kernel("gptq_codes", kernel._on_cuda)
    return kernel.gptq_codes(w.to(device), hessian.to(device), settings)


def output_error(w, rounded, hessian):
    delta = (w - rounded).double()
    return ((delta @ hessian.double()) * delta).sum().item()


@pytest.mark.parametrize(
    ("rows", "cols", "settings"),
    [
        (5, 64, GPTQ(4, 64)),
        (17, 192, GPTQ(4, 64)),  # a whole block and a part of one
        (16, 160, GPTQ(3, 32)),
        (3, 96, GPTQ(2, 48)),  # groups that are no power of two
        (9, 192, GPTQ(4, 96, symmetric=True)),
        (4, 130, GPTQ(8, 1)),
        (20, 128, GPTQ(3, 128, symmetric=True)),
        (33, 128, GPTQ(4, 32, act_order=True)),
    ],
    ids=str,
)
def test_codes_grids_and_error_are_those_of_lib_quant(
    rows, cols, settings, device, generator, by_kernel
):
    w, hessian = layer(rows, cols, generator)
    expected = gptq(w, hessian, settings)
    got = through(w, hessian, settings, device, by_kernel)
    assert by_kernel.ran == (["gptq_codes"] if device == "cpu" else [])
    codes = got.codes.cpu()
    assert codes.dtype == expected.codes.dtype
    same = (codes == expected.codes).float().mean()
    assert same > AGREE, f"{1 - same:.2%} of the codes differ"
    errors = (output_error(w, x.dequantize().cpu(), hessian) for x in (got, expected))
    assert next(errors) == pytest.approx(next(errors), rel=NEAR)
    first = slice(0, 1)  # grids that no error has reached yet are the same bits
    assert torch.equal(got.grid.scale[:, first].cpu(), expected.grid.scale[:, first])
    assert torch.equal(got.grid.zero[:, first].cpu(), expected.grid.zero[:, first])


def test_the_block_changes_the_time_and_not_the_codes(device, generator, monkeypatch):
    w, hessian = layer(6, 192, generator)
    _, factor = ordered_factor(w, hessian, GPTQ(3, 32), group=32)
    options = {"bits": 3, "group": 32, "symmetric": False}
    left, factor = w.T.contiguous().to(device), factor.to(device)
    found = []
    for block in (128, 64, 32):
        monkeypatch.setattr(kernel, "BLOCK", block)
        found.append(kernel.launch(left, factor, **options)[0])
    for codes in found[1:]:
        assert (codes == found[0]).float().mean() > AGREE


def test_nothing_to_cancel_is_rounding_to_nearest(device, generator):
    w = torch.randn(7, 64, generator=generator)
    w[:, :32] = 0.0  # a group of zeros: step 1
    w[0, 40:] = torch.tensor([2.0**-30] * 24)  # a step below fp16
    options = {"bits": 4, "group": 32, "symmetric": False}
    left, eye = w.T.contiguous().to(device), torch.eye(64, device=device)
    found = kernel.launch(left, eye, **options)
    expected = kernel.gptq_reference(left.cpu(), eye.cpu(), **options)
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.equal(mine.cpu(), theirs)


def test_the_entry_and_what_it_refuses(generator):
    w, hessian = layer(4, 64, generator)
    expected, got = gptq(w, hessian), kernel.gptq_codes(w, hessian)
    assert torch.equal(got.codes, expected.codes)
    assert torch.equal(got.dequantize(), expected.dequantize())
    for settings in (GPTQ(4, 256), GPTQ(4, 64, static_groups=True)):
        with pytest.raises(ValueError, match=f"group={settings.group}"):
            kernel.gptq_codes(w, hessian, settings)
    with pytest.raises(ValueError, match="does not divide"):
        kernel.gptq_codes(w, hessian, GPTQ(4, 48))
    with pytest.raises(ValueError, match="65504"):
        kernel.gptq_codes(w * 1e7, hessian)
    torch.library.opcheck(
        torch.ops.llm_compression.gptq_codes,
        (w.T.contiguous(), torch.eye(64), 4, 64, False),
        test_utils=("test_schema", "test_faketensor"),
    )
