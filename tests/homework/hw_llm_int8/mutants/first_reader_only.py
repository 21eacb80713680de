"""Trades with the first layer and leaves the others that read the norm."""

LOSES = ["test_trade"]


def trade(gain, weights, s):
    return gain * s, [weights[0] / s, *weights[1:]]
