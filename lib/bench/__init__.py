"""Measurements that are kept: each names its device, versions and commit.

`record` writes `lib/bench/results/NAME.json`; `recall` reads it back, so that a lecture
can print a number measured elsewhere without anybody typing it.
"""

from lib.bench.record import Measurement, recall, record

__all__ = ["Measurement", "recall", "record"]
