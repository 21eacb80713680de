"""Measurements that are kept: each names its command, device, versions and commit.

`record` writes `lib/bench/results/NAME.json`; `recall` reads it back, so that a lecture
can print a number measured elsewhere without anybody typing it. `registry` lists the
benchmarks, and `python -m lib.bench NAME` runs one.
"""

from lib.bench.record import Measurement, Run, recall, record

__all__ = ["Measurement", "Run", "recall", "record"]
