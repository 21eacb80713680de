"""One comparison for every test: shape, dtype, NaN, then values, and where they differ.

    agree("scale", scale, grid.scale, "At 4 bits.", rtol=1e-6)
    AssertionError: scale at [2, 0] is 0.2, and it should be 0.25 (1 of 6 differ). …

Nothing broadcasts: an empty answer, a row too few or a number in place of a matrix has
another shape. NaN agrees with NaN only.

    same("slots", slots, [6, 7, 8], "Block 1 has two places left.")

is the same for plain data: numbers, strings, lists, tuples and dicts.

    close("the bill", bill(…), 80.00, "$0.008 a call.")

is for one plain number that may be rounded in its last digits.
"""

import math
from typing import Any

import torch
from torch import Tensor

ENOUGH = 17  # digits that tell any two float64 numbers apart


def agree(
    name: str,
    yours: Any,
    expected: Any,
    why: str = "",
    *,
    rtol: float = 0.0,
    atol: float = 0.0,
    dtype: torch.dtype | str | None = None,
) -> None:
    """Raise AssertionError unless all |yours − expected| ≤ atol + rtol |expected|.

    `dtype` is the one that is due, or "integer" or "floating" where any of that kind
    is. Without it a tensor's own is due, and of plain numbers only the kind.
    """
    if dtype is None:
        dtype = expected.dtype if isinstance(expected, Tensor) else kind(expected)
    expected = torch.as_tensor(expected)
    end = f". {why}" if why else ""
    if not isinstance(yours, Tensor):
        raise AssertionError(f"{name} is {type(yours).__name__}, and no tensor{end}")
    if yours.shape != expected.shape:
        shapes = f"{tuple(yours.shape)}, and it should be {tuple(expected.shape)}"
        raise AssertionError(f"{name} has the shape {shapes}{end}")
    if dtype not in (yours.dtype, kind(yours)):
        due = str(dtype).removeprefix("torch.")
        of = str(yours.dtype).removeprefix("torch.")
        raise AssertionError(f"{name} is of {of}, and it should be {due}{end}")
    wrong = differ(yours.detach().cpu(), expected.detach().cpu(), rtol, atol)
    if count := int(wrong.sum()):
        at = tuple(wrong.nonzero()[0].tolist())
        place = f" at {list(at)}" if at else ""
        got, want = apart(yours[at].item(), expected[at].item())
        many = f" ({count} of {wrong.numel()} differ)" if wrong.numel() > 1 else ""
        raise AssertionError(
            f"{name}{place} is {got}, and it should be {want}{many}{end}"
        )


def same(name: str, yours: Any, expected: Any, why: str = "") -> None:
    """Raise AssertionError unless plain data has the type that is due, and equals it.

    What stands in a list is compared by its value alone: there 2.0 is equal to 2.
    """
    end = f". {why}" if why else ""
    if type(yours) is not type(expected):
        types = f"{type(yours).__name__}, and it should be {type(expected).__name__}"
        raise AssertionError(f"{name} is {types}{end}")
    try:
        equal = yours == expected
    except Exception:  # what stands in a list may be anything
        equal = False
    if equal is not True:
        raise AssertionError(f"{name} is {yours!r}, and it should be {expected!r}{end}")


def close(
    name: str, yours: Any, expected: float | int, why: str = "", *, rtol: float = 1e-9
) -> None:
    """Raise AssertionError unless |yours − expected| ≤ rtol max(|yours|, |expected|).

    An int will do where a float is due; a bool, a tensor and NaN will not.
    """
    end = f". {why}" if why else ""
    if isinstance(yours, bool) or not isinstance(yours, int | float):
        raise AssertionError(f"{name} is {type(yours).__name__}, and no number{end}")
    if not math.isclose(yours, expected, rel_tol=rtol):
        got, want = apart(float(yours), float(expected))
        raise AssertionError(f"{name} is {got}, and it should be {want}{end}")


def kind(value: Any) -> str:
    """What sort of numbers there are: "integer", "floating" or "bool"."""
    dtype = torch.as_tensor(value).dtype
    if dtype == torch.bool:
        return "bool"
    return "floating" if dtype.is_floating_point else "integer"


def differ(yours: Tensor, expected: Tensor, rtol: float, atol: float) -> Tensor:
    """Where two tensors of one shape do not agree."""
    if kind(yours) == kind(expected) == "integer" and rtol == atol == 0:
        return yours != expected  # exact beyond 2^53 too
    yours, expected = yours.double(), expected.double()
    close = (yours - expected).abs() <= atol + rtol * expected.abs()
    close &= expected.isfinite()  # infinity allows no infinite tolerance
    return ~(close | (yours == expected) | (yours.isnan() & expected.isnan()))


def apart(got: float | int, want: float | int) -> tuple[str, str]:
    """Both numbers, with as many digits as it takes to see that they differ."""
    if isinstance(got, bool | int) and isinstance(want, bool | int):
        return str(got), str(want)
    for digits in range(6, ENOUGH + 1):
        texts = f"{got:.{digits}g}", f"{want:.{digits}g}"
        if texts[0] != texts[1]:
            break
    return texts
