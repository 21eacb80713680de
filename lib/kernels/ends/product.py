"""Products of a decoder's layer together with what stands before and after them.

    normed   y = s Ŵ x                      s = 1 / √(mean h² + ε), a number a token
    gated    y = silu(s G x) ⊙ (s U x)      Ŵ is G above U
    added    h' = h + Ŵ x,   x' = g ⊙ h'
    best     the largest logit of s Ŵ x, and its row

A norm is g ⊙ h s. Whoever writes h multiplies it by the gain g, and leaves the sums of
its squares; whoever multiplies it by a matrix scales its own sums by s. So a norm, an
addition and a gate cost no kernel and no pass over memory.

Bytes: those of Ŵ, and a few numbers a row: 2 M K of x, M K / 4 of squares; 4 M N of h,
as much of h', and 2 M N of x' (`added`), 2 M N of y, or half as much (`gated`).

Errors: those of the product, and for x a rounding of g ⊙ h instead of g ⊙ (s h), of the
same relative size while g h is a normal number of the dtype (fp16: 6e-5 to 65,504).

Up to SKINNY tokens there is one kernel; more take the standing product (cuBLAS for
weights as they are), and the end in a kernel of its own, which `apart` asks for anyhow.

Read in order: `Stream`, `ended_reference`, the kernels in ends_triton.py and
product_triton.py, `launch`; `normed_product` to `best_product`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32, Int32
from torch import Tensor
from torch.nn.functional import pad, silu

from lib.kernels.core.compiler import pdl_options, require_triton, widened
from lib.kernels.core.entry import checked_activations
from lib.kernels.core.tiles import Tile, power_above
from lib.kernels.ends import ends_triton, product_triton
from lib.kernels.ends.ends_triton import Ends
from lib.kernels.ends.matrices import (
    Dense,
    Matrix,
    cols_of,
    product_reference,
    put_together,
    rows_of,
    taken_apart,
)
from lib.kernels.ends.tile import chunk_of, tile_of, turns_before
from lib.kernels.int4.product import Int4
from lib.kernels.int4.product import launch as int4_launch
from lib.kernels.nf4.product import has_pair_table, tables
from lib.kernels.nf4.product import launch as nf4_launch
from lib.kernels.nf4.scales_triton import Scales

RUN = 16  # rows whose squares, or whose best, are one number
SKINNY = 16  # up to so many tokens one kernel does it all
BLOCK = 1024  # numbers of a program that does an end alone


@dataclass(frozen=True, eq=False)
class Stream:
    """h between two layers: itself, g ⊙ h for the next product, and its squares."""

    h: Float32[Tensor, "m cols"]
    x: Float[Tensor, "m cols"]
    squares: Float32[Tensor, "m runs"]


Best = tuple[Float32[Tensor, "m runs"], Int32[Tensor, "m runs"]]


def runs_of(size: int) -> int:
    """How many runs `size` numbers have."""
    return -(-size // RUN)


def in_runs(t: Float[Tensor, "m n"], value: float) -> Float[Tensor, "m runs run"]:
    """Its rows cut into runs, the last one filled up."""
    return pad(t, (0, -t.shape[1] % RUN), value=value).unflatten(1, (-1, RUN))


def stream_of(h: Float[Tensor, "m n"], gain: Tensor, dtype: torch.dtype) -> Stream:
    """What h leaves, in plain PyTorch."""
    squares = in_runs(h * h, 0.0).sum(2)
    return Stream(h.float(), (h * gain.to(h)).to(dtype), squares.float())


def ended_reference(
    end: str,
    x: Float[Tensor, "m cols"],
    w: Matrix,
    squares: Tensor | None = None,
    h: Tensor | None = None,
    gain: Tensor | None = None,
    eps: float = 0.0,
    *,
    dtype: torch.dtype = torch.float32,
) -> list[Tensor]:
    """The equations, in `dtype`; y in the dtype of x."""
    product = product_reference(x, w, dtype=dtype)
    if end == "added":
        made = stream_of(h.to(dtype) + product, gain, x.dtype)
        return [made.h, made.x, made.squares]
    mean = squares.to(dtype).sum(1, keepdim=True) / x.shape[1]
    product = product * torch.rsqrt(mean + eps)
    if end == "gated":
        gate, up = product.chunk(2, 1)
        return [(silu(gate) * up).to(x.dtype)]
    if end == "best":
        value, place = in_runs(product, -torch.inf).max(2)
        first = RUN * torch.arange(value.shape[1], device=x.device)
        return [value.float(), (first + place).int()]
    return [product.to(x.dtype)]


# ------------------------------------------------------------------ by kernels


def launch(
    end: str,
    x: Float[Tensor, "m cols"],
    w: Matrix,
    squares: Tensor | None = None,
    h: Tensor | None = None,
    gain: Tensor | None = None,
    eps: float = 0.0,
    *,
    tile: Tile | None = None,
    apart: bool = False,
) -> list[Tensor]:
    """The same by kernels, where x lives.

    ImportError without Triton; ValueError where no kernel reaches x.
    """
    require_triton(x)
    (m, k), n, dtype = x.shape, rows_of(w), x.dtype
    x = x.contiguous().to(widened(dtype))
    ends, made = _room(end, x, n, squares, h, gain, eps)
    options = {"RUNS": power_above(runs_of(k)), "END": end} | pdl_options(x)
    if apart or m > SKINNY:
        product = _alone(x, w)
        wide = n // 2 if end == "gated" else n
        block = BLOCK * (2 if end == "gated" else 1)
        grid = (-(-wide // BLOCK), m)
        ends_triton.apart[grid](product, ends, m, n, k, ROWS=block, **options)
    else:
        _together(x, w, ends, tile, options)
    return [t.to(dtype) if t is ends.y else t for t in made]


def _room(
    end: str, x: Tensor, n: int, squares: Tensor | None, h, gain, eps: float
) -> tuple[Ends, list[Tensor]]:
    """Where an end finds what it needs and writes what it makes."""
    m, runs = len(x), runs_of(n)
    wide = x.new_empty(m, runs, dtype=torch.float32)
    y = x.new_empty(m, n // 2 if end == "gated" else n)
    unused = {"squares": x, "h": x, "gain": x, "sum": x, "runs": x, "index": x}
    unused |= {"y": y, "eps": eps}
    if end == "added":
        total = x.new_empty(m, n, dtype=torch.float32)
        mine = {"h": h, "gain": gain.to(x.dtype), "sum": total, "runs": wide}
        return Ends(**unused | mine), [total, y, wide]
    unused |= {"squares": squares}
    if end == "best":
        index = x.new_empty(m, runs, dtype=torch.int32)
        return Ends(**unused | {"runs": wide, "index": index, "y": x}), [wide, index]
    return Ends(**unused), [y]


def _alone(x: Tensor, w: Matrix) -> Tensor:
    """x Ŵᵀ by the standing kernels."""
    if isinstance(w, Dense):
        return torch.nn.functional.linear(x, w.weight.to(x.dtype))
    return int4_launch(x, w) if isinstance(w, Int4) else nf4_launch(x, w)


def _together(x: Tensor, w: Matrix, ends: Ends, tile: Tile | None, options) -> None:
    """One kernel for the product and its end."""
    (m, k), n = x.shape, rows_of(w)
    tile = tile or tile_of(x, w)
    options = options | {"ROWS": tile.rows, "BATCH": tile.batch, "SPLITS": tile.splits}
    options |= {"STAGES": tile.stages, "num_stages": tile.stages}
    options |= {"num_warps": tile.warps} | turns_before(x, w, tile)
    grid = tile.grid(n, m)
    if isinstance(w, Dense):
        chunk = chunk_of(x, tile)
        options |= {"CHUNK": chunk, "SEAMLESS": k % (chunk * tile.splits) == 0}
        product_triton.dense[grid](x, w.weight.to(x.dtype), ends, m, n, k, **options)
        return
    planes = w.planes
    seamless = planes.seamless and planes.chunks % tile.splits == 0
    options |= {"LAYOUT": planes.layout, "SEAMLESS": seamless}
    sizes = (m, n, k, planes.chunks, planes.groups)
    if isinstance(w, Int4):
        options["ZERO_POINT"] = w.constants.dtype == torch.int32
        matrix = (x, w.codes, w.constants.view(torch.int32))
        product_triton.int4[grid](*matrix, ends, *sizes, **options)
        return
    dynamic, levels = tables(x.device)
    scales = Scales(w.scales.view(torch.int32), w.nested, w.mean, dynamic)
    options["KIND"] = w.scale_kind
    options["PAIR_TABLE"] = has_pair_table(tile, planes, x.element_size())
    product_triton.nf4[grid](x, w.codes, scales, levels, ends, *sizes, **options)


# ------------------------------------------------------------------ entries


def normed_product(stream: Stream, w: Matrix, eps: float) -> Float[Tensor, "m rows"]:
    """Ŵ norm(h); ValueError as for every end, see `ended_product`."""
    return ended_product("normed", stream.x, w, stream.squares, eps=eps)[0]


def gated_product(stream: Stream, w: Matrix, eps: float) -> Float[Tensor, "m half"]:
    """silu(G norm(h)) ⊙ U norm(h), with G above U in `w`; ValueError as above."""
    if rows_of(w) % 2:
        raise ValueError(f"{rows_of(w)} rows are no two matrices of one size")
    return ended_product("gated", stream.x, w, stream.squares, eps=eps)[0]


def added_product(
    x: Float[Tensor, "m cols"], w: Matrix, stream: Stream, gain: Float[Tensor, " rows"]
) -> Stream:
    """h + Ŵ x, ready for a norm with this gain; ValueError as above."""
    return Stream(*ended_product("added", x, w, None, stream.h, gain))


def best_product(stream: Stream, w: Matrix, eps: float) -> Best:
    """Each run's largest logit of Ŵ norm(h), and its row; ValueError as above."""
    return tuple(ended_product("best", stream.x, w, stream.squares, eps=eps))


def ended_product(
    end: str,
    x: Float[Tensor, "m cols"],
    w: Matrix,
    squares: Float32[Tensor, "m runs"] | None = None,
    h: Float32[Tensor, "m rows"] | None = None,
    gain: Float[Tensor, " rows"] | None = None,
    eps: float = 0.0,
) -> list[Tensor]:
    """A product with its end: on a GPU the kernel, on a CPU the reference.

    ValueError for an x of another dtype or device or with other columns, with a
    gradient, and for an h, gain or squares that do not fit.
    """
    tensors, numbers = taken_apart(w)
    x = checked_activations(x, cols_of(w), tensors[0].device)
    wanted = {"squares": (squares, (len(x), runs_of(x.shape[1])))}
    if end == "added":
        wanted = {"h": (h, (len(x), rows_of(w))), "gain": (gain, (rows_of(w),))}
    for name, (given, shape) in wanted.items():
        if given is None or tuple(given.shape) != shape:
            has = "missing" if given is None else f"of shape {tuple(given.shape)}"
            raise ValueError(f"{name} is {has}; {end} wants {shape}")
    return torch.ops.llm_compression.ended_product(
        end, x, tensors, numbers, squares, h, gain, eps
    )


torch.library.define(
    "llm_compression::ended_product",
    "(str end, Tensor x, Tensor[] matrix, int[] numbers, Tensor? squares, Tensor? h, "
    "Tensor? gain, float eps) -> Tensor[]",
)


@torch.library.impl("llm_compression::ended_product", "CPU")
def _on_cpu(end: str, x: Tensor, tensors, numbers, *rest) -> list[Tensor]:
    return ended_reference(end, x, put_together(tensors, numbers), *rest)


def _on_cuda(end: str, x: Tensor, tensors, numbers, *rest) -> list[Tensor]:
    return launch(end, x, put_together(tensors, numbers), *rest)


torch.library.impl("llm_compression::ended_product", "CUDA", _on_cuda)


@torch.library.register_fake("llm_compression::ended_product")
def _shape_only(end: str, x: Tensor, tensors, numbers, *rest) -> list[Tensor]:
    m, n = len(x), rows_of(put_together(tensors, numbers))
    runs = x.new_empty(m, runs_of(n), dtype=torch.float32)
    if end == "added":
        return [x.new_empty(m, n, dtype=torch.float32), x.new_empty(m, n), runs]
    if end == "best":
        return [runs, runs.new_empty(runs.shape, dtype=torch.int32)]
    return [x.new_empty(m, n // 2 if end == "gated" else n)]
