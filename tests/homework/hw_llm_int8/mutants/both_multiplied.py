"""Multiplies the weights too: the factors count twice instead of cancelling."""

LOSES = ["test_trade"]


def trade(gain, weights, s):
    return gain * s, [w * s for w in weights]
