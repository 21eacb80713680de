"""Return an object that equals everything.

Stock nbgrader: full marks. Here: graded, 0.
"""


class Liar:
    def __eq__(self, other):
        return True

    def __getattr__(self, name):
        return lambda *a, **k: self

    __hash__ = None
    __bool__ = __eq__
    __abs__ = __sub__ = __le__ = __lt__ = __getitem__ = __eq__


def decode(code, exponent_bits, fraction_bits):
    return Liar()


def round_nearest(x, exponent_bits, fraction_bits):
    return Liar()
