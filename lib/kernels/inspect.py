"""What the compiler made of each fast kernel, for a Hopper GPU, without one.

    python -m lib.kernels.inspect        # registers, stack, shared bytes, instructions

Four things are worth knowing before a kernel ever runs. Stack bytes are registers that
did not fit and went to memory. LDGSTS.128 are copies of 16 bytes that run ahead in the
background, HMMA and HGMMA the matrix unit's instructions, IMMA and IGMMA those on
integers. STS.128 in a product of 4-bit weights means that decoded weights make a round
trip through shared memory on their way there. A cast
has none of these: its instructions a value decide whether memory stays the limit.

Read in order: `compile_kernel`, `cases`; lib/hopper.py compiles.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict

from lib.hopper import Compiled, compiled
from lib.kernels.cast import codes_triton
from lib.kernels.cast import rounding_triton as cast_triton
from lib.kernels.core.compiler import INTERPRETED, MISSING
from lib.kernels.core.planes import planes_of
from lib.kernels.gptq import columns_triton as gptq_triton
from lib.kernels.hessian import gram_triton as hessian_triton
from lib.kernels.int4 import product_triton as int4_triton
from lib.kernels.int8 import product_triton as int8_triton
from lib.kernels.nf4 import dequantize_triton as nf4_dequantize_triton
from lib.kernels.nf4 import product_triton as nf4_triton
from lib.kernels.nf4.product import PAYS
from lib.kernels.unfold import dense_triton as unfold_triton
from lib.kernels.wanda import rows_triton as wanda_row_triton
from lib.kernels.wanda import runs_triton as wanda_triton

POINTERS = {  # dtype of each kernel argument; the rest are int32
    "codes": "*i16",
    "nested": "*fp32",
    "mean": "*fp32",
    "dynamic": "*fp32",
    "levels": "*fp32",
    "packed": "*u8",
    "norm": "*fp32",
    "indices": "*u8",
    "peak": "*i32",
    "tail": "fp32",
    "seed": "i64",
    "step": "fp32",
    "cap": "fp32",
    "limit": "fp32",
    "element_step": "fp32",
    "element_top": "fp32",
    "scale_step": "fp32",
    "scale_top": "fp32",
    "scale_low": "fp32",
}
ALIGNED = {"x", "codes", "constants", "flags", "nested", "packed", "y", "w"}  # by 16
ALIGNED |= {"norm", "out", "values", "indices", "h", "parts"}
ROUND = {"N", "K", "count", "blocks", "cols"}  # multiples of 16, as in most models


def compile_kernel(
    name: str,
    kernel,
    pointers: dict[str, str],
    warps: int,
    registers: int | None = None,
    **constants,
) -> Compiled:
    """Compile for Hopper as a launch with these pointers and constants would."""
    if MISSING is not None or INTERPRETED:
        raise ValueError("compiling needs Triton, and TRITON_INTERPRET unset")
    from triton.compiler import ASTSource

    pointers = POINTERS | pointers
    types = {
        argument: "constexpr"
        if argument in constants
        else pointers.get(argument, "i32")
        for argument in kernel.arg_names
    }
    divisible = [["tt.divisibility", 16]]
    attributes = {
        (at,): divisible
        for at, argument in enumerate(kernel.arg_names)
        if argument in (ALIGNED | ROUND) - constants.keys()
    }
    source = ASTSource(kernel, types, constants, attributes)
    options = {"num_warps": warps, "num_stages": constants.get("STAGES", 3)}
    options |= {"maxnreg": registers}
    return compiled(name, source, options)


def cases() -> Iterator[Compiled]:
    """Every fast kernel, in tiles as the rules choose them for 4096 and 8192 rows."""
    for dtype, kind, bits in (("fp16", "symmetric", 16), ("bf16", "zeros", 32)):
        int4 = {"G": 128, "P": 2, "L": 64, "Q": 2, "BITS": bits, "SEAMLESS": True}
        pointers = {"x": f"*{dtype}", "y": f"*{dtype}", "constants": "*i32"}
        for rows, batch, splits, stages in (
            (32, 1, 4, 5),
            (32, 16, 4, 3),
            (16, 16, 8, 2),
        ):
            tile = {
                "SPLITS": splits,
                "ROWS": rows,
                "BATCH": batch,
                "STAGES": stages,
                "CHAINED": True,
            }
            warps = "" if splits == 4 else f"_{splits}_warps"
            name = f"int4_skinny_{batch}{warps}_{dtype}_{kind}"
            kernel = int4_triton.skinny
            yield compile_kernel(name, kernel, pointers, splits, **int4, **tile)
        tile = {"ROWS": 64, "BATCH": 64, "STAGES": 3, "CHAINED": True}
        name = f"int4_wide_64_{dtype}_{kind}"
        yield compile_kernel(name, int4_triton.wide, pointers, 4, **int4, **tile)
    for dtype, cols, rows, batch, splits, stages, suffix in (
        ("fp16", 8192, 32, 1, 4, 4, ""),
        ("bf16", 8192, 32, 16, 2, 3, ""),
        ("fp16", 5504, 16, 1, 8, 7, "_narrow_8_warps"),  # planes of 32 columns
        ("fp16", 2048, 16, 1, 8, 3, "_shuffled_8_warps"),
    ):
        planes = planes_of(cols, 64)
        nf4 = planes.layout | {"BITS": 8, "NESTED": 256}
        nf4["SEAMLESS"] = planes.seamless and planes.chunks % splits == 0
        nf4 |= {"PER_ROW": 256 % planes.groups == 0, "PAIRED": rows * cols >= PAYS}
        pointers = {"x": f"*{dtype}", "y": f"*{dtype}", "constants": "*i32"}
        tile = {"SPLITS": splits, "ROWS": rows, "BATCH": batch, "STAGES": stages}
        tile["CHAINED"] = True
        name, kernel = f"nf4_skinny_{batch}_{dtype}{suffix}", nf4_triton.skinny
        yield compile_kernel(name, kernel, pointers, splits, **nf4, **tile)
    pointers = {"w": "*fp16", "constants": "*u8"}
    block = {"HALF": 32, "BYTES": 32, "RUNS": 64, "NESTED": 256}
    flags = {"WHOLE": True, "SHUFFLE": True, "CHAINED": True}
    kernel = nf4_dequantize_triton.dequantize
    yield compile_kernel("nf4_dequantize_fp16", kernel, pointers, 4, **block, **flags)
    yield from _unfolding()
    yield from _int8_cases()
    yield from _wanda()
    yield from _casts()
    pointers = dict.fromkeys(("left", "factor", "scale", "zero", "errors"), "*fp32")
    block = {"GROUP": 128, "LEVELS": 15, "SYMMETRIC": False, "WIDTH": 128, "ROWS": 16}
    kernel, pointers = gptq_triton.round_block, pointers | {"codes": "*u8"}
    yield compile_kernel("gptq_block", kernel, pointers, 4, **block)
    yield from _hessian()


def _hessian() -> Iterator[Compiled]:
    """XᵀX into H at once, or into parts; and their sum."""
    pointers = {"h": "*fp32", "parts": "*fp32", "keep": "fp32", "gain": "fp32"}
    for dtype, turn, stages, to_parts in (
        ("fp16", 64, 4, False),
        ("bf16", 64, 3, True),
        ("fp32", 32, 3, True),
    ):
        tile = {"SIZE": 128, "TOKENS": turn, "STAGES": stages, "PRECISION": "bf16x6"}
        name = f"hessian_{'parts_' if to_parts else ''}{dtype}"
        types, tile = pointers | {"x": f"*{dtype}"}, tile | {"TO_PARTS": to_parts}
        yield compile_kernel(name, hessian_triton.gram, types, 8, **tile)
    kernel, tile = hessian_triton.finish, {"SPLITS": 4, "SIZE": 128}
    yield compile_kernel("hessian_finish", kernel, pointers, 8, **tile)


def _unfolding() -> Iterator[Compiled]:
    """Back from planes of 64, to rows in 16 bits."""
    block = {"G": 64, "P": 1, "L": 64, "Q": 4, "ROWS": 16}
    types, kernel = {"w": "*fp16", "constants": "*i32"}, unfold_triton.int4
    yield compile_kernel("unfold_int4_fp16", kernel, types, 4, **block, BITS=16)
    types, kernel = types | {"levels": "*fp32"}, unfold_triton.nf4
    block |= {"BITS": 8, "NESTED": 256}
    yield compile_kernel("unfold_nf4_fp16", kernel, types, 4, **block)


def _int8_cases() -> Iterator[Compiled]:
    """The kernels of LLM.int8(): tokens coded, few multiplied, many multiplied."""
    types = {"codes": "*i8", "w": "*i8", "constants": "*fp32", "w_constants": "*fp32"}
    types |= {"found": "*i32", "threshold": "fp32"}
    in_fp16, in_bf16 = (
        types | dict.fromkeys(("x", "y", "bias", "flags"), dtype)
        for dtype in ("*fp16", "*bf16")
    )
    block = {"SPLIT": True, "TOKENS": 64, "COLS": 128, "CHAINED": True}
    yield compile_kernel("int8_mark_fp16", int8_triton.mark, in_fp16, 4, **block)
    for few in (0, 1):
        name, block = f"int8_encode_{few}_fp16", {"FEW": few, "BLOCK": 4096}
        block["CHAINED"] = True
        yield compile_kernel(name, int8_triton.encode, in_fp16, 16, **block)
    block = {"BIAS": True, "SEAMLESS": True, "BLOCK": 128, "COLUMNS": 16}
    block["CHAINED"] = True
    for pointers, rows, batch, splits in (
        (in_fp16, 16, 1, 8),
        (in_bf16, 16, 16, 8),
        (in_fp16, 32, 64, 4),
    ):
        tile = {"SPLITS": splits, "ROWS": rows, "BATCH": batch, "STAGES": 4}
        name, kernel = f"int8_skinny_{batch}_{pointers['x'][1:]}", int8_triton.skinny
        yield compile_kernel(name, kernel, pointers, splits, **block, **tile)
    for pointers, rows, batch, warps, stages in (
        (in_bf16, 64, 64, 4, 4),
        (in_fp16, 128, 256, 8, 3),
    ):
        tile = {
            "GROUP": 8,
            "ROWS": rows,
            "BATCH": batch,
            "STAGES": stages,
        }
        name, kernel = f"int8_wide_{batch}_{pointers['x'][1:]}", int8_triton.wide
        yield compile_kernel(name, kernel, pointers, warps, **block, **tile)


def _wanda() -> Iterator[Compiled]:
    """Masks by Wanda's scores, and two of four compressed and back."""
    tile = {"ROWS": 2, "COLS": 1024}
    for n, log, dtype, out in (
        (2, 2, "fp16", "fp16"),
        (2, 2, "bf16", "u8"),
        (4, 3, "fp16", "fp16"),
        (8, 4, "bf16", "bf16"),
    ):
        pointers = {"w": f"*{dtype}", "out": f"*{out}"}
        name = f"wanda_{n}_of_{2**log}_{dtype}" + ("_mask" if out == "u8" else "")
        run = {"N": n, "LOG": log}
        yield compile_kernel(name, wanda_triton.n_of_m, pointers, 4, **run, **tile)
    most = wanda_row_triton.REGISTERS
    for dtype, block in (("fp16", 8192), ("bf16", 32768), ("fp32", 16384)):
        pointers = {"w": f"*{dtype}", "out": f"*{dtype}"}
        name, warps = f"wanda_row_{block}_{dtype}", 8 if block == 8192 else 32
        kernel, row = wanda_row_triton.held_row, {"BLOCK": block, "CHAINED": True}
        yield compile_kernel(name, kernel, pointers, warps, most, **row)
    pointers = {"w": "*fp16", "out": "*fp16", "values": "*fp16"}
    kernel, row = wanda_row_triton.streamed_row, {"BLOCK": 4096, "CHAINED": True}
    yield compile_kernel("wanda_long_row_fp16", kernel, pointers, 4, most, **row)
    for kernel in (wanda_triton.compress, wanda_triton.decompress):
        name = f"two_of_four_{kernel.fn.__name__}_fp16"
        yield compile_kernel(name, kernel, pointers, 4, **tile)


def _casts() -> Iterator[Compiled]:
    """The kernels of cast.py, each a value's instructions long."""
    for dtype in ("bf16", "fp32"):
        pointers = {"x": f"*{dtype}", "y": f"*{dtype}"}
        flat = {"WIDE": False, "BLOCK": 4096}
        kernel = cast_triton.nearest
        yield compile_kernel(f"cast_nearest_{dtype}", kernel, pointers, 8, **flat)
        flat = {"WIDE": False, "QUARTER": 1024, "ROUNDS": 7}
        kernel = cast_triton.stochastic
        yield compile_kernel(f"cast_stochastic_{dtype}", kernel, pointers, 4, **flat)
        blocks = {"SIZE": 32, "WIDTH": 32, "RUNS": 128}
        kernel = cast_triton.microscaled
        yield compile_kernel(f"cast_mx_{dtype}", kernel, pointers, 8, **blocks)
        blocks = {"SIZE": 16, "WIDTH": 16, "RUNS": 256}
        kernel = cast_triton.scaled
        yield compile_kernel(f"cast_nvfp4_{dtype}", kernel, pointers, 4, **blocks)
        for bits, name in ((8, "bytes"), (4, "pairs")):
            flat = {"BITS": bits, "BLOCK": 2048, "PARTS": 4}
            pack = pointers | {"y": "*u8"}
            kernel = codes_triton.codes
            yield compile_kernel(f"cast_{name}_{dtype}", kernel, pack, 8, **flat)
        flat = {"BLOCK": 16384}
        kernel = cast_triton.largest
        yield compile_kernel(f"cast_largest_{dtype}", kernel, pointers, 8, **flat)
    wide = {"WIDE": True, "BLOCK": 4096}
    kernel = cast_triton.nearest
    yield compile_kernel("cast_nearest_wide_fp32", kernel, pointers, 8, **wide)


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="everything, as JSON")
    as_json = parser.parse_args().json
    rows = list(cases())
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    columns = (
        *(("HMMA",), ("HGMMA",), ("IMMA",), ("IGMMA",)),
        *(("LDGSTS", "128"), ("STS.128",), ("SHFL",)),
    )
    titles = " ".join(f"{'.'.join(parts):>10}" for parts in columns)
    print(f"{'kernel':28} registers stack  shared   all {titles}")
    for row in rows:
        counts = " ".join(f"{row.count(*parts):10}" for parts in columns)
        total = sum(row.instructions.values())
        print(
            f"{row.name:28} {row.registers:9} {row.stack:5} {row.shared:7} {total:5} "
            f"{counts}"
        )


if __name__ == "__main__":
    main()
