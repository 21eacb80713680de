"""Say through __class__ to be a float, a list and a tensor.

Stock nbgrader: 0 of 11. Here: graded, 0.
"""


class Liar:
    @property
    def __class__(self):
        return float

    def __float__(self):
        return 1e9

    def __eq__(self, other):
        return True


def decode(code, exponent_bits, fraction_bits):
    return Liar()
