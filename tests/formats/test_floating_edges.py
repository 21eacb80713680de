"""`lib.formats.floating` at its ends: overflow, shapes, bad input, numbers by hand."""

import math

import pytest
import torch

from lib.formats.codes import all_values, bit_string, decode, encode
from lib.formats.floating import (
    FP4_E2M1,
    FP8_E4M3,
    FP8_E5M2,
    FP16,
    FP32,
    FP64,
    TF32,
    FloatFormat,
    neighbours,
    round_to,
)


@pytest.mark.parametrize(
    ("fmt", "infinity", "saturate"),
    [(FP16, math.inf, 65504.0), (FP8_E4M3, math.nan, 448.0), (FP4_E2M1, 6.0, 6.0)],
    ids=lambda a: getattr(a, "name", ""),
)
def test_overflow(fmt, infinity, saturate):
    x = torch.tensor([1e6, math.inf, -1e6])
    sign = torch.tensor([1.0, 1.0, -1.0])
    exact = {"rtol": 0, "atol": 0, "equal_nan": True}
    torch.testing.assert_close(round_to(x, fmt), infinity * sign, **exact)
    assert torch.equal(round_to(x, fmt, overflow="saturate"), saturate * sign)


def test_bits_of_pi():
    assert bit_string(math.pi, FP32) == "0 10000000 10010010000111111011011"
    assert bit_string(math.pi, FP16) == "0 10000 1001001000"
    assert bit_string(-math.pi, FP4_E2M1) == "1 10 1"
    assert bit_string(-math.inf, FP8_E5M2) == "1 11111 00"
    assert bit_string(2.0, FloatFormat("E3M0", 3, 0, specials="none")) == "0 100"
    assert bit_string(-0.0, FP64).count("1") == 1


def test_neighbours_enclose():
    assert neighbours(math.pi, FP16) == (3.140625, 3.142578125)
    assert neighbours(3.0, FP4_E2M1) == (3.0, 3.0)
    assert neighbours(-5.0, FP4_E2M1) == (-6.0, -4.0)
    assert neighbours(7.0, FP4_E2M1) == (6.0, math.inf)
    assert neighbours(-math.inf, FP16) == (-math.inf, -65504.0)
    assert neighbours(1e-320, FP16) == (0.0, FP16.smallest_subnormal)


def test_shapes_strides_and_emptiness_are_kept(generator):
    x = torch.randn(
        6, 70_000, generator=generator
    ).t()  # not contiguous, more than one chunk
    assert torch.equal(round_to(x, FP16), x.half().float())
    assert round_to(torch.tensor(3.3), FP4_E2M1).shape == ()
    for empty in (torch.empty(0), torch.empty(3, 0, dtype=torch.float16)):
        assert round_to(empty, FP16).shape == empty.shape
        assert encode(empty, FP16).shape == empty.shape
    leaf = torch.ones(3, requires_grad=True)
    assert not round_to(leaf, FP16).requires_grad


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: FloatFormat("wide", 12, 3), "12 exponent and 3 fraction"),
        (lambda: FloatFormat("x", 4, 3, specials="fnuz"), "'fnuz'"),
        (lambda: FloatFormat("x", 1, 3), "not 1 and 3"),
        (lambda: FloatFormat("x", 8, 3, bias=1100), "-1099"),
        (lambda: round_to(torch.arange(3), FP16), "int64"),
        (lambda: round_to(torch.ones(1, dtype=torch.complex64), FP16), "complex64"),
        (lambda: round_to(torch.ones(1).to(torch.float8_e5m2), FP16), "float8_e5m2"),
        (lambda: round_to(torch.ones(1), FP16, rounding="up"), "'up'"),
        (lambda: round_to(torch.ones(1), FP16, overflow="wrap"), "'wrap'"),
        (lambda: encode(torch.tensor([math.nan, 1.0]), FP4_E2M1), "holds 1"),
        (lambda: decode(torch.tensor([3, 16]), FP4_E2M1), "3 to 16"),
        (lambda: decode(torch.tensor([-1]), FP4_E2M1), "-1 to -1"),
        (lambda: decode(torch.ones(1), FP4_E2M1), "float32"),
        (lambda: all_values(TF32), r"2\^19"),
        (lambda: neighbours(math.nan, FP16), "NaN"),
    ],
)
def test_bad_input_is_refused_with_its_numbers(call, says):
    with pytest.raises(ValueError, match=says):
        call()
