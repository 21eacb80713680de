"""A kernel compiled for a Hopper GPU as a launch would compile it, without one.

Each operation's `cases.py` lists its kernels in the tiles worth looking at, by
`compile_kernel`; lib/kernels/inspect.py compiles them all, lib/hopper.py each one.
"""

from collections.abc import Iterator

from lib.hopper import WHOLE, Compiled, argument_types, compiled
from lib.kernels.core.compiler import INTERPRETED, MISSING

POINTERS = {  # dtypes of arguments that several operations have; the rest are int32
    "codes": "*i16",
    "nested": "*fp32",
    "mean": "*fp32",
    "dynamic": "*fp32",
    "levels": "*fp32",
    "norm": "*fp32",
}
ALIGNED = {"x", "codes", "constants", "flags", "nested", "packed", "y", "w"}  # by 16
ALIGNED |= {"x_absmax", "norm", "out", "values", "indices", "h", "parts", "per_block"}
ALIGNED |= {"squares", "gain", "sum", "runs", "sums", "table", "product"}
ALIGNED |= {"qkv", "k_blocks", "v_blocks", "s", "t", "weights", "places", "scales"}
# Multiples of 16, as in most models.
ROUND = {"N", "K", "V", "groups", "count", "blocks", "cols"}


def compile_kernel(
    name: str,
    kernel,
    pointers: dict[str, str | tuple[str, ...]],
    warps: int,
    registers: int | None = None,
    **constants,
) -> Compiled:
    """Compile for Hopper as a launch with these pointers and constants would.

    A bundle of pointers, in a named tuple, has the dtypes of its parts in one.
    ValueError where Triton is missing, or interprets and so compiles nothing.
    """
    if MISSING is not None or INTERPRETED:
        raise ValueError("compiling needs Triton, and TRITON_INTERPRET unset")
    from triton.compiler import ASTSource

    pointers = POINTERS | pointers
    types = argument_types(kernel, pointers, constants)
    attributes = {
        path: WHOLE
        for argument, path in _paths(types)
        if argument in (ALIGNED | ROUND) - constants.keys()
    }
    source = ASTSource(kernel, types, constants, attributes)
    options = {"num_warps": warps, "num_stages": constants.get("STAGES", 3)}
    options |= {"maxnreg": registers}
    return compiled(name, source, options)


def _paths(types: dict[str, str | tuple]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Each argument's name and where it stands, and those of a bundle's parts."""
    for at, (argument, dtype) in enumerate(types.items()):
        if isinstance(dtype, str):
            yield argument, (at,)
        else:
            yield from ((part, (at, i)) for i, part in enumerate(dtype._fields))
