"""What crosses in the place of a value that is nearly plain: a plain one, equal to it.

    UserList, UserDict, UserString    what they hold
    Decimal                           the same number, as a Fraction
    generator, range, dict.values()   what they run through, as a tuple

A tuple equals no list, and neither does any of these: so a test that passes or fails at
the student's desk does the same in the grader.
"""

import array
from collections import UserDict, UserList, UserString, deque
from collections.abc import Iterable, Iterator, MappingView
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any, cast

from course.grader.box.regions import Unsendable

MAX_POWER = 1_000  # of ten: 1E+999999999 is short to write and endless to compute with


def likeness(value: Any, most: int) -> Any:
    """A plain value for `value`, at most `most` items long.

    Raises `Unsendable` with the type, and what to return in its place.
    """
    match value:
        case UserString() | UserList() | UserDict():
            return value.data
        case Decimal() if value.is_finite() and abs(value.adjusted()) < MAX_POWER:
            return Fraction(value)
        case Iterator() | MappingView() | range() | deque() | array.array():
            return tuple(islice(cast(Iterable, value), most))
    kind = type(value)
    raise Unsendable(
        f"a {kind.__module__}.{kind.__qualname__}, which cannot cross to the tests: "
        "let it be None, a number, text, a list, tuple, dict, set, array or tensor"
    )
