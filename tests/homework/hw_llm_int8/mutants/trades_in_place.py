"""Changes the caller's tensors."""

LOSES = ["test_trade"]


def trade(gain, weights, s):
    for w in weights:
        w /= s
    gain *= s
    return gain, weights
