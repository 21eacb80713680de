"""Raise an error that fails when it is printed, and one of a kind that has no name.

Stock nbgrader: not tried. Here: stopped, 0.
"""


class Silent(Exception):  # noqa: N818
    def __str__(self):
        raise SystemExit

    __repr__ = __str__


class Nameless(type):
    @property
    def __name__(cls):
        raise SystemExit


def decode(code, exponent_bits, fraction_bits):
    raise Silent


class Loud(Exception, metaclass=Nameless):  # noqa: N818
    pass


def number_line(exponent_bits, fraction_bits, specials):
    raise Loud
