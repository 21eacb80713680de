"""The kernel's paths cost what the reference's cost, with free ends and as rings."""

import pytest
import torch

from lib.kernels import launch_viterbi
from lib.quant.trellis.bitshift import Trellis, codes_of
from lib.quant.trellis.node_values import node_values
from lib.quant.trellis.viterbi import reference_paths, ring_viterbi

pytestmark = pytest.mark.usefixtures("interpreter", "poisoned")
CASES = [
    (Trellis(4, 1), 9),
    (Trellis(7, 2), 12),
    (Trellis(8, 3), 8),
    (Trellis(6, 2), 3),
]


@pytest.mark.parametrize(("trellis", "length"), CASES)
@pytest.mark.parametrize("ring", [False, True])
def test_a_path_costs_what_the_references_does(
    trellis, length, ring, device, generator
):
    w = torch.randn(3, length, generator=generator)
    values = node_values("1mad", trellis.state_bits)
    seam = torch.randint(2**trellis.overlap_bits, (3,), generator=generator)
    seam = seam if ring else None
    there = (w.to(device), values.to(device), None if seam is None else seam.to(device))
    found = launch_viterbi(*there, trellis).cpu()
    best = reference_paths(w, values, seam, trellis)
    mine, theirs = ((w - values[states]).square().sum(1) for states in (found, best))
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    steps = (found[:, :-1] << trellis.bits) % trellis.states
    assert torch.equal(steps >> trellis.bits, found[:, 1:] >> trellis.bits)
    if ring:
        assert torch.equal(found[:, 0] >> trellis.bits, seam)
        assert torch.equal(found[:, -1] % 2**trellis.overlap_bits, seam)


def test_the_operation_takes_the_kernel(by_kernel, device, generator):
    by_kernel(
        "best_paths",
        lambda w, v, o, L, k: launch_viterbi(w, v, o, Trellis(L, k)),
    )
    trellis, w = Trellis(5, 2), torch.randn(2, 8, generator=generator).to(device)
    codes = codes_of(
        ring_viterbi(w, node_values("1mad", 5).to(device), trellis), trellis
    )
    assert codes.shape == w.shape
    assert device != "cpu" or by_kernel.ran == ["best_paths"] * 2
