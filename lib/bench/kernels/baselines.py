"""The 4-bit products that people use, each on enough random weights to miss the cache.

Each function takes x (m, k) and n, and returns a call for each copy of the weights, or
says why it cannot. Groups of 128 everywhere. Read in order: `cublas`, `tinygemm`,
`marlin`, `gemlite`.
"""

import importlib
import sys
import types
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from lib.bench.kernels.rows import Calls
from lib.bench.timing import copies_past_cache

GROUP = 128


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
