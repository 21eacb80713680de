"""Divides the rows of square weights: outputs instead of channels."""

LOSES = ["test_trade"]


def trade(gain, weights, s):
    square = [len(w) == len(s) for w in weights]
    new = [
        w / s[:, None] if is_square else w / s
        for w, is_square in zip(weights, square, strict=True)
    ]
    return gain * s, new
