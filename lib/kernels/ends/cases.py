"""Products with ends as they are compiled for Hopper: see lib/kernels/inspect.py."""

from collections.abc import Iterator

from lib.hopper import Compiled
from lib.kernels.core.compile import compile_kernel
from lib.kernels.core.planes import planes_of
from lib.kernels.core.tiles import power_above
from lib.kernels.ends import ends_triton, product_triton
from lib.kernels.ends.ends_triton import Ends
from lib.kernels.ends.tile import HOLD
from lib.kernels.nf4.scales_triton import ScaleKind, Scales

# end, columns, then rows, batch, splits and stages of the tile
INT4 = (
    ("normed", 4096, 16, 2, 8, 3),
    ("gated", 4096, 32, 2, 4, 3),
    ("added", 11008, 16, 2, 8, 3),
    ("gated", 4096, 32, 16, 4, 3),
)
NF4 = (("gated", 4096, 32, 1, 4, 4),)
DENSE = (
    ("best", 4096, 16, 2, 8, 3),
    ("added", 11008, 32, 2, 4, 5),
)


def _ends(dtype: str) -> Ends:
    """Pointers of these dtypes; y and x are `dtype`."""
    single = "*fp32"
    return Ends(
        *(single, single, f"*{dtype}", f"*{dtype}"), *(single, single, "*i32", "fp32")
    )


def cases() -> Iterator[Compiled]:
    """Each end in fp16, in the tiles of a Llama of 7B and of a small one."""
    pointers = {"x": "*fp16", "w": "*fp16", "constants": "*i32", "ends": _ends("fp16")}
    pointers |= {"product": "*fp16", "texts": "*i32", "lengths": "*i32"}
    for end, cols, *tile in INT4:
        planes = planes_of(cols, 64 if cols == 576 else 128)
        layout = {"LAYOUT": planes.layout, "ZERO_POINT": False}
        layout["SEAMLESS"] = planes.seamless and planes.chunks % tile[2] == 0
        options = layout | _options(end, cols, *tile) | _held(tile, planes.chunks)
        name = f"ends_int4_{end}_{cols}_{tile[1]}"
        yield compile_kernel(name, product_triton.int4, pointers, tile[2], **options)
    scales = {"scales": Scales("*i32", "*fp32", "*fp32", "*fp32")}
    for end, cols, *tile in NF4:
        planes = planes_of(cols, 64)
        kind = ScaleKind(8, 256, 256 % planes.groups == 0, end == "gated")
        layout = {"LAYOUT": planes.layout, "KIND": kind, "PAIR_TABLE": True}
        layout["SEAMLESS"] = planes.seamless and planes.chunks % tile[2] == 0
        options = layout | _options(end, cols, *tile)
        kernel, pointed = product_triton.nf4, pointers | scales
        yield compile_kernel(f"ends_nf4_{end}_{cols}", kernel, pointed, 4, **options)
    for end, cols, *tile in DENSE:
        options = {"CHUNK": 64, "SEAMLESS": cols % 256 == 0}
        options |= _options(end, cols, *tile) | _held(tile, cols // 64)
        name = f"ends_dense_{end}_{cols}_{tile[1]}"
        yield compile_kernel(name, product_triton.dense, pointers, tile[2], **options)
    alone = {"RUNS": 256, "END": "added", "ROWS": 1024, "PDL": True}
    yield compile_kernel("ends_apart", ends_triton.apart, pointers, 4, **alone)
    table = pointers | {"table": "*fp16"}
    begin = {"ROWS": 1024, "PDL": True}
    yield compile_kernel("ends_embed", ends_triton.embed, table, 4, **begin)
    runs = pointers | {"best": "*fp32", "index": "*i32"}
    finish = {"RUNS": 2048, "PDL": True}
    yield compile_kernel("ends_choose", ends_triton.choose, runs, 8, **finish)


def _options(
    end: str, cols: int, rows: int, batch: int, splits: int, stages: int
) -> dict:
    """The constants of a kernel that ends so, in this tile."""
    tile = {"ROWS": rows, "BATCH": batch, "SPLITS": splits, "STAGES": stages}
    tile["AHEAD"] = stages
    return tile | {"RUNS": power_above(-(-cols // 16)), "END": end, "PDL": True}


def _held(tile: list[int], chunks: int) -> dict:
    """How many turns registers hold before the wait."""
    rows, batch, splits, _ = tile
    held = min(HOLD // rows, -(-chunks // splits)) if batch <= 2 else 0
    return {"HELD": held, "MORE": chunks > held * splits}
