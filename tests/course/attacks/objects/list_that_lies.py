"""Return a list that equals every list.

Stock nbgrader: full marks. Here: graded, 0.
"""


class Liar(list):
    def __eq__(self, other):
        return True

    def __getitem__(self, place):
        return self

    __hash__ = None


def number_line(exponent_bits, fraction_bits, specials):
    return Liar()
