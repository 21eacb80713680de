"""Keeps infinity as it is where every number beyond the largest should saturate."""

LOSES = ["test_overflow"]


def overflow(y, largest, specials, saturate):
    beyond = {"ieee": math.inf, "nan": math.nan, "none": largest}[specials]
    end = torch.full_like(y, largest if saturate else beyond)
    too_large = (y.abs() > largest) & ~(y.isinf() & saturate)
    return torch.where(too_large, end.copysign(y), y)
