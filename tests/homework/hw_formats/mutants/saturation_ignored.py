"""Overflows to infinity or NaN also where saturation was asked for."""

LOSES = ["test_overflow"]


def overflow(y, largest, specials, saturate):
    beyond = {"ieee": math.inf, "nan": math.nan, "none": largest}[specials]
    return torch.where(y.abs() > largest, torch.full_like(y, beyond).copysign(y), y)
