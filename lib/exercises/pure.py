"""A function whose arguments stay as they were, or an AssertionError that says so.

    yours = pure(quantize)      in a test, before the first call
    codes, scale = yours(w, 4)  and from here on w is what it was

A test that goes on to compute with w needs that, whoever runs the function: what is
changed in place has changed for the test as well.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def pure(function: Callable) -> Callable:
    """`function`; a call that changes an argument raises AssertionError."""

    def called(*args: Any, **kwargs: Any) -> Any:
        before = snapshot([args, kwargs])
        value = function(*args, **kwargs)
        for number, (now, was) in enumerate(zip(args, before[0], strict=True)):
            if not unchanged(now, was):
                which = f"{ordinal(number)} argument"
                raise AssertionError(told(function, which, now))
        for name, now in kwargs.items():
            if not unchanged(now, before[1][name]):
                raise AssertionError(told(function, f"argument {name}", now))
        return value

    called.__name__ = getattr(function, "__name__", "a function")
    return called


def told(function: Callable, which: str, argument: Any) -> str:
    """What is wrong, and what to do about it."""
    name = getattr(function, "__name__", "a function")
    advice = (
        "Work on a copy (x.clone()), and without functions that end in an underscore"
    )
    if not isinstance(argument, Tensor):
        advice = "Work on a copy (copy.deepcopy(x)): what lies inside counts, too"
    return (
        f"{name} changes its {which} in place, and its caller still needs that. "
        f"{advice}"
    )


def ordinal(number: int) -> str:
    """The word for a place among the arguments."""
    return ORDINALS[number] if number < len(ORDINALS) else f"{number + 1}th"


def snapshot(value: Any) -> Any:
    """`value` with its tensors and containers copied."""
    match value:
        case Tensor():
            return value.detach().clone()
        case list() | tuple():
            return [snapshot(item) for item in value]
        case dict():
            return {key: snapshot(item) for key, item in value.items()}
    return value


def unchanged(now: Any, was: Any) -> bool:
    """Whether a value is what its snapshot was."""
    match now:
        case Tensor():
            if now.shape != was.shape or now.dtype != was.dtype:
                return False
            return bool(((now == was) | ((now != now) & (was != was))).all())  # NaN
        case list() | tuple():
            return len(now) == len(was) and all(map(unchanged, now, was))
        case dict():
            same_keys = now.keys() == was.keys()
            return same_keys and all(unchanged(now[key], was[key]) for key in now)
    return now is was or bool(now == was)
