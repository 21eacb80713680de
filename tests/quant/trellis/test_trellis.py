"""Viterbi beats every path, two passes make a ring, and a ring is exactly k bits."""

from itertools import product

import pytest
import torch

from lib.quant.trellis.bitshift import Trellis, codes_of, states_of
from lib.quant.trellis.matrix import TileQuantizer, TrellisMatrix, tiles, untiled
from lib.quant.trellis.node_values import KINDS, node_values
from lib.quant.trellis.viterbi import exact_ring, ring_viterbi, viterbi

SMALL = [Trellis(3, 1), Trellis(5, 1), Trellis(4, 2), Trellis(5, 2), Trellis(5, 3)]


def lengths(trellis):
    """So that all paths can be listed."""
    return 12 // trellis.bits


def every_code(trellis):
    choices = product(range(trellis.branches), repeat=lengths(trellis))
    return torch.tensor(list(choices))


def every_path(trellis):
    """All paths with free ends: a first state, and the bits that follow."""
    length = lengths(trellis) - trellis.overlap_bits // trellis.bits
    firsts = torch.arange(trellis.states)
    later = torch.tensor(list(product(range(trellis.branches), repeat=length - 1)))
    state = firsts[:, None].expand(-1, len(later))
    path = [state]
    for t in range(length - 1):
        state = (state << trellis.bits | later[None, :, t]) % trellis.states
        path.append(state)
    return torch.stack(path, -1).flatten(0, 1)


def losses(w, values, states):
    return (w[:, None] - values[states]).square().sum(-1)


@pytest.mark.parametrize("trellis", SMALL, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_viterbi_finds_the_least_of_all_paths(trellis, kind, generator):
    values = node_values(kind, trellis.state_bits).double()
    paths = every_path(trellis)
    w = torch.randn(4, paths.shape[1], generator=generator, dtype=torch.float64)
    found = (w - values[viterbi(w, values, trellis)]).square().sum(1)
    least = losses(w, values, paths).amin(1)
    torch.testing.assert_close(found, least, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("trellis", SMALL, ids=str)
def test_the_exact_ring_is_the_least_of_all_rings_and_two_passes_lie_above(
    trellis, generator
):
    values = node_values("table", trellis.state_bits).double()
    w = torch.randn(8, lengths(trellis), generator=generator, dtype=torch.float64)
    least = losses(w, values, states_of(every_code(trellis), trellis)).amin(1)
    free, exact, twice = (
        (w - values[search(w, values, trellis)]).square().sum(1)
        for search in (viterbi, exact_ring, ring_viterbi)
    )
    torch.testing.assert_close(exact, least, rtol=1e-12, atol=1e-12)
    assert (free <= exact + 1e-12).all(), "a ring cannot beat free ends"
    assert (exact <= twice + 1e-12).all(), "two passes cannot beat all rings"


@pytest.mark.parametrize("trellis", [*SMALL, Trellis(12, 2), Trellis(16, 3)], ids=str)
def test_what_two_passes_find_is_a_ring_of_k_bits_a_weight(trellis, generator):
    if trellis.state_bits == 16:  # Viterbi's 65,536 states are slow; any ring will do
        codes = torch.randint(8, (5, 40), generator=generator)
        assert torch.equal(codes_of(states_of(codes, trellis), trellis), codes)
        return
    values = node_values("1mad", trellis.state_bits)
    states = ring_viterbi(torch.randn(3, 32, generator=generator), values, trellis)
    codes = codes_of(states, trellis)
    assert 0 <= codes.min() <= codes.max() < trellis.branches
    assert torch.equal(states_of(codes, trellis), states)
    following = (states << trellis.bits) % trellis.states
    shared = states.roll(-1, 1) >> trellis.bits << trellis.bits
    assert torch.equal(following >> trellis.bits << trellis.bits, shared), "a jump"


def test_a_path_that_is_no_ring_is_refused(generator):
    trellis, w = Trellis(8, 2), torch.randn(20, 16, generator=generator)
    states = viterbi(w, node_values("1mad", 8), trellis)
    with pytest.raises(ValueError, match="are no rings"):
        codes_of(states, trellis)


def test_rows_are_searched_in_portions_without_a_difference(generator, monkeypatch):
    w, trellis = torch.randn(7, 20, generator=generator), Trellis(6, 2)
    values = node_values("1mad", 6)
    at_once = ring_viterbi(w, values, trellis)
    monkeypatch.setattr("lib.quant.trellis.viterbi.POINTERS", 700)
    found = ring_viterbi(w, values, trellis)
    losses = [(w - values[states]).square().sum(1) for states in (found, at_once)]
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize("kind", KINDS)
def test_levels_are_near_normal_and_neighbours_do_not_resemble_each_other(kind):
    values = node_values(kind, 16).double()
    assert abs(values.mean()) < 0.02
    assert abs(values.square().mean() - 1) < 0.02
    trellis = Trellis(16, 2)
    states = torch.arange(trellis.states)
    for new in range(4):  # v(s) = s would have 0.25; 1MAD has up to 0.06, 3INST 0.0004
        after = values[(states << 2 | new) % trellis.states]
        assert abs((values * after).mean()) < 0.1


@pytest.mark.parametrize("kind", ["1mad", "3inst"])
def test_more_states_at_the_same_bits_come_nearer_to_the_bound(kind, generator):
    w = torch.randn(48, 256, generator=generator)
    errors = []
    for state_bits in (4, 7, 10):
        values, trellis = node_values(kind, state_bits), Trellis(state_bits, 2)
        states = ring_viterbi(w, values, trellis)
        errors.append((w - values[states]).square().mean().item())
    assert errors == sorted(errors, reverse=True)
    assert 2**-4 < errors[-1] < 0.1175, "below Lloyd-Max, and above D(R) = 1/16"


def test_tiles_are_a_rearrangement(generator):
    w = torch.randn(32, 48, generator=generator)
    assert torch.equal(untiled(tiles(w)), w)
    assert torch.equal(tiles(w)[1, 2], w[16:, 32:].flatten())
    with pytest.raises(ValueError, match="do not cover"):
        tiles(w[:31])


def test_a_matrix_dequantizes_to_what_was_rounded(generator):
    w, trellis = torch.randn(32, 16, generator=generator), Trellis(7, 2)
    rounded, codes = TileQuantizer(0.5, trellis, "1mad")(w)
    matrix = TrellisMatrix(codes[:, None], torch.tensor(0.5).half(), trellis, "1mad")
    assert torch.equal(matrix.dequantize(), rounded)
    assert matrix.bits_per_weight == 2 + 16 / 512


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Trellis(2, 2), "state_bits=2"),
        (lambda: Trellis(17, 2), "state_bits=17"),
        (lambda: node_values("hyb", 8), "kind='hyb'"),
        (lambda: TileQuantizer(1.0, kind="table"), "kind='table'"),
        (lambda: TileQuantizer(0.0), "scale=0.0"),
        (lambda: states_of(torch.zeros(1, 3, dtype=torch.long), Trellis(8, 2)), "6 b"),
        (lambda: viterbi(torch.ones(1, 4), torch.ones(8), Trellis(4, 2)), "8 values"),
        (lambda: viterbi(torch.ones(1, 0), torch.ones(16), Trellis(4, 2)), "nothing"),
    ],
)
def test_what_is_no_trellis_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
