"""One slip costs once: right, or right after an earlier slip of the same author.

    slips = {1}                                     above exercise 1
    slips.discard(1)                                where its test ends: it has passed
    agree_or_follow("codes", codes, expected, "At 4 bits.", lambda: quantize(w)[0],
                    slipped=1 in slips)

An exercise that is made of earlier ones inherits their slips, which have cost their
points already. So what comes back may also be what its author's own functions make of
the inputs, put together as the exercise asks. Where the earlier tests have passed there
is no slip to follow from, whatever those functions say now.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from lib.exercises.compare import agree, differ

RELATIVE = 1e-5  # some hundred roundings of float32: the pieces in another order


def agree_or_follow(
    name: str,
    yours: object,
    expected: object,
    why: str,
    *earlier: Callable[[], object],
    slipped: bool,
    **terms: Any,
) -> None:
    """`agree`, or agree with what one of `earlier` returns; raises its AssertionError.

    `terms` are those of `agree`. Each of `earlier` calls the author's own functions,
    and only where the answer is not right and one of their tests has `slipped`; where
    one raises, nothing follows from it.
    """
    try:
        agree(name, yours, expected, why, **terms)
    except AssertionError:
        if not (slipped and any(follows(yours, made) for made in earlier)):
            raise


def follows(yours: object, earlier: Callable[[], object]) -> bool:
    """Whether `yours` is what `earlier()` returns, and finite numbers, at least one."""
    try:
        made = earlier()
    except Exception:  # an earlier function is unfinished, or its slip is an error
        return False
    return (
        isinstance(yours, Tensor)
        and isinstance(made, Tensor)
        and (yours.shape, yours.dtype) == (made.shape, made.dtype)
        and yours.numel() > 0
        and bool(yours.isfinite().all())
        and not differ(yours, made, RELATIVE, rounding(made)).any()
    )


def rounding(made: Tensor) -> float:
    """What sums in another order may add to a number that should be 0."""
    return 1e-7 * float(made.double().abs().max()) if made.is_floating_point() else 0.0
