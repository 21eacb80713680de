"""E8P finds the nearest of its 65,536 points, and codes weights in the bits it says."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.quant.lattices.codes import (
    E8Code,
    ScalarCode,
    VectorCode,
    ball,
    decode_ball,
    gaussian_distortion,
    nearest_ball,
    normal_levels,
    rate_distortion,
)
from lib.quant.lattices.e8p import (
    QUARTER,
    codebook,
    decode_e8p,
    nearest_e8p,
    patterns,
)
from lib.quant.lattices.nearest import nearest_e8

CODES = [E8Code(2), E8Code(3), E8Code(4), *(ScalarCode(b) for b in (1, 2, 3, 5))]
SAMPLES = 2**17
POINTS = codebook()


def every_code():
    number = torch.arange(2**16)
    return torch.stack([number & 255, number >> 8], 1).to(torch.uint8)


def test_the_codes_stand_for_65536_points_of_e8_moved_by_a_quarter():
    points = POINTS
    assert len(points.unique(dim=0)) == 2**16
    assert torch.equal(nearest_e8(points + QUARTER) - QUARTER, points)


def test_no_point_of_its_half_is_shorter_than_what_was_left_out():
    squared = patterns().square().sum(1)
    counts = squared.unique(return_counts=True)
    assert counts[0].tolist() == [2, 4, 6, 8, 10, 12]
    assert counts[1].tolist() == [1, 8, 28, 64, 126, 29]


def test_the_table_is_in_the_order_that_files_rely_on():
    every = product((0.5, 1.5, 2.5), repeat=8)
    rows = [(sum(v * v for v in row), max(row), row) for row in every]
    whole = [row for squared, _, row in rows if squared <= 10]
    longest = [row for squared, top, row in rows if squared == 12 and top == 1.5]
    assert [tuple(row) for row in patterns().tolist()] == whole + longest[:29]


def test_every_code_is_its_points_own():
    assert torch.equal(nearest_e8p(POINTS), every_code())


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
def test_the_fast_search_finds_what_a_search_of_all_points_finds(spread, generator):
    x = spread * torch.randn(200, 8, generator=generator, dtype=torch.float64)
    points = POINTS.double()
    far = torch.randint(227 * 256, 2**16, (200,), generator=generator)  # of the 29
    x = torch.cat([x, 1.2 * points[far] + x])
    best = (points.square().sum(1) - 2 * x @ points.T).amin(1) + x.square().sum(1)
    found = decode_e8p(nearest_e8p(x)).double()
    torch.testing.assert_close((x - found).square().sum(1), best, atol=1e-9, rtol=0)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([-2.0, -0.75, -0.25, 0.0, 0.25, 1.25]), min_size=8,
                max_size=8))  # fmt: skip
def test_ties_are_nearest_too(x):
    x = torch.tensor([x], dtype=torch.float64)
    points = POINTS.double()
    found = decode_e8p(nearest_e8p(x)).double()
    assert (x - found).square().sum() == (x - points).square().sum(1).amin()


def test_shapes_pass_through(generator, as_a_user):
    x = torch.randn(2, 3, 8, generator=generator)
    assert nearest_e8p(x).shape == (2, 3, 2)
    assert decode_e8p(nearest_e8p(x)).shape == x.shape
    assert nearest_e8p(torch.zeros(0, 8)).shape == (0, 2)
    with pytest.raises(ValueError, match="7 coordinates"):
        nearest_e8p(torch.zeros(1, 7))
    with pytest.raises(ValueError, match="8 NaN or infinite"):
        nearest_e8p(torch.full((1, 8), torch.inf))


def test_the_ball_is_all_short_points_of_e8_and_some_longer(generator):
    points = ball()
    assert torch.equal(nearest_e8(points), points)
    assert points.square().sum(1).unique(return_counts=True)[1].tolist() == [1, 240, 15]
    x = torch.randn(100, 8, generator=generator)
    found = decode_ball(nearest_ball(x))
    best = torch.cdist(x, points).amin(1)
    torch.testing.assert_close((x - found).norm(dim=1), best)


@pytest.mark.parametrize("code", CODES, ids=repr)
def test_packing_takes_the_bits_it_says_and_loses_nothing(code, generator):
    assert isinstance(code, VectorCode)
    x = torch.randn(800 // code.width, code.width, generator=generator)
    codes = code.encode(x)
    packed = code.pack(codes)
    assert 8 * len(packed) == code.bits * x.numel()
    assert torch.equal(code.unpack(packed, len(x)), codes)
    with pytest.raises(ValueError):
        code.unpack(packed[:-1], len(x))


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_the_lattice_lies_between_scalars_and_shannons_limit(bits):
    scalar = gaussian_distortion(ScalarCode(bits), samples=SAMPLES)
    lattice = gaussian_distortion(E8Code(bits), samples=SAMPLES)
    assert rate_distortion(bits) < lattice.mean - lattice.margin
    assert lattice.mean + lattice.margin < scalar.mean - scalar.margin


def test_the_scale_of_two_bits_is_the_best_one():
    """The error on N(0, 1) at 1.03, and on either side of it."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(SAMPLES // 8, 8, generator=draw)
    error = [
        (x - decode_e8p(nearest_e8p(s * x)) / s).square().mean().item()
        for s in (0.93, 1.03, 1.13)
    ]
    assert error[1] < min(error[0], error[2])
    found = gaussian_distortion(E8Code(), samples=SAMPLES)
    assert abs(found.mean - 0.0914) < 2 * found.margin, "QuIP#'s: about 0.091"


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_the_scalar_levels_are_their_cells_means(bits):
    levels = normal_levels(bits)
    torch.testing.assert_close(levels, -levels.flip(0))
    known = {1: 0.363380, 2: 0.117482, 3: 0.034548}[bits]  # Max 1960, table I
    found = gaussian_distortion(ScalarCode(bits), samples=2**18)
    assert abs(found.mean - known) < 2 * found.margin


def test_bits_that_no_code_has_are_refused():
    for make, bits in ((E8Code, 1), (E8Code, 5), (ScalarCode, 0), (ScalarCode, 9)):
        with pytest.raises(ValueError, match=f"bits={bits}"):
            make(bits)
