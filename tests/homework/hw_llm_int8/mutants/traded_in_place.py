"""Trades in the tensors that it was given, which their owner still needs."""

LOSES = ["test_trade"]
PATCHES = {
    "trade": {
        "gain * s": "gain.mul_(s)",
        "w / s": "w.div_(s)",
    },
}
