"""The 4-bit product beside cuBLAS in fp16, tinygemm, Marlin and gemlite.

Bytes: codes and constants of Ŵ, x and y. Each baseline has enough random weights to
miss the cache: its function takes x (m, k) and n, and returns a call for each copy of
them, or says why it cannot. Groups of 128 everywhere.

Read in order: `random_int4`, `measure`, `candidates`, `tune`; `cublas`, `tinygemm`,
`marlin`, `gemlite`.
"""

import importlib
import sys
import types
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lib.bench.kernels.rows import Calls, Row, best_tiles, measured, tuning_cases
from lib.bench.timing import copies_past_cache
from lib.kernels.core.planes import Planes, pack_constants
from lib.kernels.core.tiles import Tile, inside, power_above
from lib.kernels.int4 import (
    Int4,
    int4_product,
    int4_reference,
    int4_tile,
    launch,
)
from lib.kernels.int4.product import SKINNY

GROUP = 128
TOKENS = (1, 2, 4, 8, 16, 64, 128, 1024)
TOLERANCE = {torch.float16: 1e-3, torch.bfloat16: 8e-3, torch.float32: 1e-5}


def random_int4(n: int, k: int, *, symmetric: bool, device: str) -> list[Int4]:
    """Enough different random matrices to miss the cache."""
    planes = Planes(k, GROUP)

    def one() -> Int4:
        shape = (planes.chunks, n, planes.length)
        codes = torch.randint(-(2**15), 2**15, shape, dtype=torch.int16, device=device)
        step = torch.rand(planes.groups, n, device=device).half() / 64 + 2**-8
        if symmetric:
            return Int4(codes, pack_constants(step, planes), planes)
        zero = torch.randint_like(step, 16).to(torch.int32) << 16
        both = zero | step.view(torch.int16).to(torch.int32)
        return Int4(codes, pack_constants(both, planes), planes)

    first = one()
    return [first, *(one() for _ in range(copies_past_cache(first.nbytes) - 1))]


def measure(sizes: list[tuple[int, int]], tokens: list[int]) -> Iterator[Row]:
    """Every size, every number of tokens, both kinds."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for (n, k), (case, (dtype, symmetric, known)) in product(sizes, KINDS.items()):
        weights = random_int4(n, k, symmetric=symmetric, device=device)
        for m in tokens:
            x = torch.randn(m, k, device=device).to(dtype)
            nbytes = weights[0].nbytes + x.nbytes + m * n * x.element_size()
            row = Row(case, m, n, k, nbytes)
            if device == "cuda":
                row.tile = str(int4_tile(x, weights[0]))
            exact = int4_reference(x.double(), weights[0], dtype=torch.float64)
            calls = [lambda w=w, x=x: int4_product(x, w) for w in weights]
            baselines = {
                name: partial(baseline, x, n) for name, baseline in known.items()
            }
            yield measured(row, calls, exact, TOLERANCE[dtype], baselines)


def candidates(m: int, k: int) -> list[Tile]:
    """Tiles worth trying for m tokens and k columns."""
    batch = max(2, power_above(m))
    chunks = Planes(k, GROUP).chunks
    if batch <= SKINNY:
        tiles = [
            inside(rows, batch, warps, stages)
            for rows in (16, 32)
            for warps, stages in (
                (2, 3),
                (2, 5),
                (4, 3),
                (4, 4),
                (4, 5),
                (8, 2),
                (8, 3),
            )
        ]
        tiles += [Tile(64, batch, splits, 4, 4) for splits in (1, 2, 4) if batch >= 8]
    else:
        tiles = [
            Tile(rows, min(batch, most), splits, warps, stages)
            for rows, most, warps, stages in (
                *((64, 64, 4, 3), (64, 64, 4, 4), (128, 64, 8, 3)),
                *((64, 128, 8, 3), (128, 128, 8, 2), (128, 128, 8, 3)),
            )
            for splits in (1, 2, 4)
        ]
    return list(dict.fromkeys(tile for tile in tiles if tile.splits <= chunks))


def tune(sizes: list[tuple[int, int]], tokens: list[int]) -> list[dict[str, Any]]:
    """Choose the tiles of every case, with zero points and without, in fp16."""
    notes = []
    for operation, symmetric in (("int4", True), ("int4_zeros", False)):
        weights = partial(random_int4, symmetric=symmetric, device="cuda")
        ways = weights, int4_reference, launch, candidates, TOLERANCE[torch.float16]
        notes += best_tiles(operation, tuning_cases(sizes, tokens, *ways))
    return notes


def cublas(x: Tensor, n: int) -> Calls:
    """x Wᵀ in 16 bits."""
    k = x.shape[1]
    count = copies_past_cache(2 * n * k)
    weights = [torch.randn(n, k, device=x.device, dtype=x.dtype) for _ in range(count)]
    return [lambda w=w: torch.nn.functional.linear(x, w) for w in weights]


def tinygemm(x: Tensor, n: int) -> Calls:
    """torch's `_weight_int4pack_mm`: in bf16, a step and a zero each group."""
    k = x.shape[1]
    x = x.to(torch.bfloat16)
    calls = []
    for _ in range(copies_past_cache(n * k // 2)):
        codes = torch.randint(256, (n, k // 2), dtype=torch.uint8, device=x.device)
        packed = torch._convert_weight_to_int4pack(codes, 8)
        constants = torch.rand(k // GROUP, n, 2, device=x.device).to(torch.bfloat16)
        calls.append(
            lambda p=packed, c=constants: torch._weight_int4pack_mm(x, p, GROUP, c)
        )
    return calls


def marlin(x: Tensor, n: int) -> Calls:
    """Marlin with scaled zero points; optimum-quanto's source takes 95 s to build.

    Raises ImportError where that is not installed.
    """
    _quanto_products()
    k, kind = x.shape[1], {"dtype": torch.float16, "device": x.device}
    x = x.half()
    calls = []
    for _ in range(copies_past_cache(n * k // 2)):
        shape = (k // 16, 2 * n)
        codes = torch.randint(
            -(2**31), 2**31, shape, dtype=torch.int32, device=x.device
        )
        step, shift = torch.rand(2, k // GROUP, n, **kind) / 64
        locks = torch.zeros(n // 128 * 16, dtype=torch.int32, device=x.device)
        matrix = codes, step, shift, locks
        calls.append(lambda w=matrix: torch.ops.quanto.gemm_f16i4_marlin(x, *w))
    return calls


def gemlite(x: Tensor, n: int) -> Calls:
    """gemlite's Triton kernels, which tune themselves at their first call."""
    from gemlite.helper import A16Wn

    k = x.shape[1]
    layers = []
    for _ in range(copies_past_cache(n * k // 2)):
        codes = torch.randint(16, (n, k), dtype=torch.uint8, device=x.device)
        step = torch.rand(n * k // GROUP, 1, device=x.device).to(x.dtype) / 64
        zero = torch.full_like(step, 8)
        maker = A16Wn(device=x.device, dtype=x.dtype)
        layers.append(maker.from_weights(codes, step, zero, 4, GROUP))
    return [lambda layer=layer: layer(x) for layer in layers]


BASELINES = {
    "cublas": cublas,
    "tinygemm": tinygemm,
    "marlin": marlin,
    "gemlite": gemlite,
}
WITH_ZEROS = {name: BASELINES[name] for name in ("tinygemm", "marlin")}
KINDS = {  # what x is, whether the weights are symmetric, and who does the same
    "fp16 symmetric": (torch.float16, True, BASELINES),
    "bf16 zero points": (torch.bfloat16, False, WITH_ZEROS),
}


def _quanto_products() -> None:
    """Register `torch.ops.quanto` without optimum-quanto's `__init__`.

    That one imports parts of transformers that move between versions. So its packages
    stand in as empty modules that only know their folders.
    """
    if "optimum.quanto.library" in sys.modules:
        return
    if (optimum := find_spec("optimum")) is None:
        raise ImportError("optimum-quanto is not installed")
    folder = Path(next(iter(optimum.submodule_search_locations)))
    for name in ("optimum", "optimum.quanto", "optimum.quanto.library"):
        if name not in sys.modules:
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
    for name in ("unpack", "extensions.cuda"):
        importlib.import_module(f"optimum.quanto.library.{name}")
