"""A judge knows a student's function in a grader's hands from one in a notebook."""

import pytest

from lib.exercises.protocol import StudentFunction


class Complete:
    """All that the protocol asks for, without a word of it."""

    def __init__(self):
        self.__name__, self.source = "f", "def f(): ..."

    def isolated(self, source, name):
        return self

    def __call__(self):
        return 1


class Forgetful(StudentFunction):
    """Declares the protocol, and cannot isolate."""

    __name__, source = "f", "def f(): ..."

    def __call__(self):
        return 1


def plain():
    return 1


def with_a_text():
    return 1


with_a_text.source = "def with_a_text(): ..."


def test_what_has_all_of_it_is_one():
    assert isinstance(Complete(), StudentFunction)


@pytest.mark.parametrize("function", [plain, with_a_text, len, "f", None])
def test_what_lacks_some_of_it_is_none(function):
    assert not isinstance(function, StudentFunction)


def test_who_declares_it_and_forgets_a_method_cannot_be_made():
    with pytest.raises(TypeError, match="isolated"):
        Forgetful()
