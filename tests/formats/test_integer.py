"""`lib.formats.integer` against ml_dtypes' and torch's small integers."""

import math

import ml_dtypes
import numpy as np
import pytest
import torch

from lib.formats.integer import (
    INT1,
    INT2,
    INT4,
    INT8,
    UINT1,
    UINT2,
    UINT4,
    UINT8,
    IntFormat,
    bit_pattern,
    round_to_integer,
)

PAIRS = [
    (INT8, torch.iinfo(torch.int8)),
    (UINT8, torch.iinfo(torch.uint8)),
    (INT4, ml_dtypes.iinfo(ml_dtypes.int4)),
    (UINT4, ml_dtypes.iinfo(ml_dtypes.uint4)),
    (INT2, ml_dtypes.iinfo(ml_dtypes.int2)),
    (UINT2, ml_dtypes.iinfo(ml_dtypes.uint2)),
    (INT1, ml_dtypes.iinfo(ml_dtypes.int1)),
    (UINT1, ml_dtypes.iinfo(ml_dtypes.uint1)),
]


@pytest.mark.parametrize(("fmt", "info"), PAIRS, ids=lambda a: getattr(a, "name", ""))
def test_ranges_are_those_of_torch_and_ml_dtypes(fmt, info):
    assert (fmt.low, fmt.high) == (int(info.min), int(info.max))
    assert fmt.high - fmt.low == 2**fmt.bits - 1


def test_one_signed_bit_holds_minus_one_and_zero():
    assert (INT1.low, INT1.high) == (-1, 0)
    assert (bit_pattern(-1, INT1), bit_pattern(0, INT1)) == ("1", "0")


@pytest.mark.parametrize("fmt", [fmt for fmt, _ in PAIRS], ids=lambda fmt: fmt.name)
def test_patterns_are_twos_complement(fmt):
    for value in range(fmt.low, fmt.high + 1):
        digits = [int(digit) for digit in bit_pattern(value, fmt)]
        weights = [2**i for i in reversed(range(fmt.bits))]
        if fmt.signed:
            weights[0] = -weights[0]
        assert sum(d * w for d, w in zip(digits, weights, strict=True)) == value


def test_rounding_ties_to_even_and_saturates():
    x = torch.tensor([-0.5, 0.5, 1.5, 2.5, 6.6, 7.5, 99.0, -8.5, -9.0, math.inf])
    assert round_to_integer(x, INT4).tolist() == [0, 0, 2, 2, 7, 7, 7, -8, -8, 7]
    assert round_to_integer(x, UINT2).tolist() == [0, 0, 2, 2, 3, 3, 3, 0, 0, 3]
    assert round_to_integer(torch.empty(0, 2), INT8).shape == (0, 2)


def test_rounding_is_numpys_rint_within_range():
    generator = torch.Generator().manual_seed(1)
    x = 60 * torch.randn(100_000, generator=generator)
    expected = np.clip(np.rint(x.numpy()), -128, 127).astype(np.int64)
    assert torch.equal(round_to_integer(x, INT8), torch.from_numpy(expected))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: IntFormat(0), "bits=0"),
        (lambda: IntFormat(33, False), "bits=33"),
        (lambda: bit_pattern(8, INT4), "8 is not in INT4, -8 to 7"),
        (lambda: bit_pattern(-1, UINT4), "-1 is not in UINT4, 0 to 15"),
        (lambda: round_to_integer(torch.tensor([math.nan, 1.0]), INT8), "holds 1 NaN"),
        (lambda: round_to_integer(torch.arange(3), INT8), "int64"),
    ],
)
def test_bad_input_is_refused_with_its_numbers(call, says):
    with pytest.raises(ValueError, match=says):
        call()
