"""What lib.bench.ptq measures: one job a row of its tables.

Read in order: `Job`, `jobs`, and the tables below it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lib.models.rescale import AWQ
from lib.quant.codebooks.normal_float import NormalFloat
from lib.quant.lattices.coded import BlockLDLQ, quip_sharp
from lib.quant.lattices.codes import ScalarCode
from lib.quant.rotations.incoherence import Incoherence
from lib.quant.solvers.gptq import GPTQ
from lib.quant.solvers.spqr import SpQR
from lib.quant.uniform.grouped import RoundToNearest

TABLES = {  # of each benchmark
    "ptq_perplexity": (
        *("methods", "groups", "calibration", "count", "settings", "travel"),
    ),
    "ptq_best": ("best",),
    "ptq_vectors": ("vectors",),
}
BEST = {"act_order": True, "static_groups": True, "candidates": 16}


@dataclass(frozen=True)
class Job:
    """One row of the table. `method` None is the unquantized model."""

    table: str  # one of `TABLES`
    method: Any
    calibration: str = "plays"
    count: int = 32
    sequential: bool = True
    seed: int = 0  # of the draw of the calibration windows


def jobs(*tables: str) -> list[Job]:
    """Every row of these tables, or of all; the slow ones first."""
    rows = [
        *_methods(),
        *_groups(),
        *_calibration(),
        *_settings(),
        *_travel(),
        *_best(),
        *_vectors(),
    ]
    chosen = [job for job in rows if not tables or job.table in tables]
    return sorted(
        chosen, key=lambda job: (-job.count, not isinstance(job.method, SpQR))
    )


def _methods() -> Iterator[Job]:
    """Every method at every bit width."""
    yield Job("methods", None)
    yield Job("methods", NormalFloat())
    yield Job("methods", NormalFloat(double=True))
    for bits in (8, 4, 3, 2):
        for method in (
            RoundToNearest(bits),
            AWQ(bits),
            GPTQ(bits),
            GPTQ(bits, act_order=True),
            GPTQ(bits, act_order=True, static_groups=True),
            GPTQ(bits, act_order=True, candidates=16),
        ):
            yield Job("methods", method)
    for bits in (4, 3, 2):
        for threshold in (0.1, 0.2, 0.5):
            yield Job("methods", SpQR(bits, threshold=threshold))
        for threshold in (0.05, 0.1, 0.2, 0.5, 1.0, math.inf):
            yield Job("methods", SpQR(bits, threshold=threshold, act_order=True))


def _groups() -> Iterator[Job]:
    """Other sizes of a group than 64."""
    for bits in (8, 4, 3, 2):
        for group in (16, 32, 192):
            for act_order in (False, True):
                yield Job("groups", GPTQ(bits, group, act_order=act_order))
        for group in (16, 32, 192):
            yield Job("groups", RoundToNearest(bits, group))


def _calibration() -> Iterator[Job]:
    """Which text calibrates, and how many windows of it."""
    for bits in (4, 3, 2):
        for text in ("plays", "python_docs", "own_samples"):
            yield Job("calibration", GPTQ(bits, act_order=True), text)
    for count in (1, 4, 16, 64, 128):
        yield Job("count", GPTQ(3, act_order=True), count=count)


def _settings() -> Iterator[Job]:
    """GPTQ's damping, order, grids and clipping, one by one."""
    for damping in (1e-4, 1e-3, 0.1, 1.0):
        yield Job("settings", GPTQ(3, damping=damping))
    for damping in (1e-3, 0.1, 1.0):
        yield Job("settings", GPTQ(3, act_order=True, damping=damping))
    for act_order in (False, True):
        yield Job("settings", GPTQ(3, act_order=act_order), sequential=False)
    for method in (
        GPTQ(3, act_order=True, candidates=16),
        GPTQ(3, act_order=True, static_groups=True, candidates=16),
        GPTQ(3, act_order=True, damping=0.1, candidates=16),
    ):
        yield Job("settings", method, count=128)
    for method in (
        GPTQ(3, candidates=16),
        GPTQ(3, act_order=True, static_groups=True, candidates=16),
        GPTQ(4, symmetric=True),
        GPTQ(3, symmetric=True),
    ):
        yield Job("settings", method)


def _travel() -> Iterator[Job]:
    """How the error grows from block to block."""
    yield Job("travel", RoundToNearest(3))
    yield Job("travel", GPTQ(3), sequential=False)
    yield Job("travel", GPTQ(3))
    yield Job("travel", GPTQ(3, act_order=True))


def _best() -> Iterator[Job]:
    """The best settings, what they are compared with, and how far a draw moves both."""
    for bits in (3, 4, 2):
        yield Job("best", GPTQ(bits, 64, **BEST))
    for group in (32, 16):
        yield Job("best", GPTQ(3, group, **BEST))
    yield Job("best", RoundToNearest(3, candidates=16))
    yield Job("best", AWQ(3, candidates=1))
    for seed in (0, 1, 2):
        yield Job("best", GPTQ(3), seed=seed)
    for seed in (1, 2):
        yield Job("best", GPTQ(3, 64, **BEST), seed=seed)


def _vectors() -> Iterator[Job]:
    """QuIP#, without one part after the other, beside GPTQ at nearly equal bits."""
    yield Job("vectors", None)
    yield Job("vectors", GPTQ(2, 64, **BEST))
    for bits in (2, 3, 4):
        yield Job("vectors", GPTQ(bits, 192, **BEST))
        yield Job("vectors", quip_sharp(bits))
    for bits in (2, 3):
        yield Job("vectors", Incoherence(BlockLDLQ(code=ScalarCode(bits))))
    for seed in (1, 2):
        yield Job("vectors", quip_sharp(2, seed=seed))
    yield Job("vectors", Incoherence(GPTQ(2, 192, **BEST)))
    yield Job("vectors", Incoherence(BlockLDLQ(feedback=False)))
    yield Job("vectors", BlockLDLQ())
