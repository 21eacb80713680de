"""A measurement by a process of its own: its memory, and its death, are its own."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Protocol, TypeVar, runtime_checkable

LONGEST = 300  # characters of an error that a row keeps


@runtime_checkable
class HasError(Protocol):
    """A row of a table, which says what went wrong."""

    error: str | None


R = TypeVar("R", bound=HasError)


def measured_apart(measure: Callable[..., R], failed: R, *case: object) -> R:
    """`measure(*case)`; or `failed`, with the error, where it raises or dies."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(measure, *case).result()
        except Exception as problem:
            failed.error = f"{type(problem).__name__}: {problem}"[:LONGEST]
            return failed
