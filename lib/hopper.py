"""What Triton's compiler makes of a kernel for a Hopper GPU, where there is none.

    compiled(source)         registers, stack, shared bytes, instructions, loads
    compiled_text(cell)      the same of a kernel in a text, in a process of its own

Stack bytes are registers that did not fit and went to memory. A load's width is what a
thread asks for at once: 16 bytes is the most, and the least that copies in the
background want.

Read in order: `Compiled`, `compiled`, `narrowest_loads`, `compiled_text`.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HOPPER = 90
SHARED = 227 << 10  # bytes that a program may have
WARPS, STAGES = 4, 3
SECONDS = 60.0
WHOLE = [["tt.divisibility", 16]]  # of an argument that 16 divides
SIZES = {"i8": 1, "i16": 2, "f16": 2, "bf16": 2, "i32": 4, "f32": 4, "i64": 8, "f64": 8}


@dataclass(frozen=True)
class Compiled:
    """A kernel's needs, and how often each instruction stands in its code."""

    name: str
    registers: int  # a thread
    stack: int  # bytes a thread: spilled registers
    shared: int  # bytes a program
    instructions: dict[str, int]
    stored_early: int  # wide stores to shared memory before the last product
    loads: dict[str, int] = field(default_factory=dict)  # see `narrowest_loads`

    def count(self, *parts: str) -> int:
        """Instructions that have all of `parts` in their names."""
        named = self.instructions.items()
        return sum(n for name, n in named if all(part in name for part in parts))


def argument_types(
    kernel: Any, pointers: dict[str, Any], constants: Iterable[str]
) -> dict[str, Any]:
    """Of each argument: constexpr, its pointer's dtype, or int32."""
    return {
        name: "constexpr" if name in constants else pointers.get(name, "i32")
        for name in kernel.arg_names
    }


def compiled(name: str, source: Any, options: dict, *, ptx: bool = False) -> Compiled:
    """Compile Triton's `ASTSource`, and read the result.

    Instructions are the machine's, or with `ptx` those of Triton's own assembly, for
    which nothing has to be disassembled.
    """
    import triton
    from triton.backends.compiler import GPUTarget

    binary = triton.compile(source, GPUTarget("cuda", HOPPER, 32), options)
    registers, stack, fixed = _resources(binary.asm["cubin"])
    pattern = (
        r"^\t(?:@\S+ )?([a-z][\w.:]*)" if ptx else r"^\S*\t(?:@\S+ )?([A-Z][\w.]*)"
    )
    text = binary.asm["ptx" if ptx else "sass"]
    operations = re.findall(pattern, text, re.MULTILINE)
    return Compiled(
        name,
        registers,
        stack,
        fixed + binary.metadata.shared,
        dict(Counter(operations)),
        stored_early(operations),
        narrowest_loads(binary.asm["ttgir"]),
    )


def stored_early(operations: list[str]) -> int:
    """How many STS.128 come before the last HMMA or HGMMA: none, if no operand does."""
    products = [at for at, name in enumerate(operations) if "MMA" in name]
    return operations[: max(products, default=0)].count("STS.128")


def narrowest_loads(ttgir: str) -> dict[str, int]:
    """{dtype: bytes that a thread asks for at once, in the narrowest load of it}."""
    widths = {}
    for name, per_thread, order in re.findall(
        r"^(#\w+) = #ttg\.blocked<\{sizePerThread = \[([\d, ]+)\].*order = \[(\d+)",
        ttgir,
        re.MULTILINE,
    ):
        widths[name] = int(per_thread.split(", ")[int(order)])
    found: dict[str, int] = {}
    for line in ttgir.splitlines():
        load = re.search(
            r"(?:tt\.load|async_copy_global_to_local) .*"
            r": (?:tensor<[\dx]+)?!tt\.ptr<(\w+)>(?:, (#\w+))?",
            line,
        )
        if load:
            dtype, layout = load.groups()
            run = re.search(r"contiguity = (\d+)", line)
            numbers = int(run[1]) if run else widths.get(layout, 1)
            width = min(numbers * SIZES.get(dtype, 1), 16)
            found[dtype] = min(found.get(dtype, 16), width)
    return found


def _resources(cubin: bytes) -> tuple[int, ...]:
    """Registers and stack bytes of a thread, and shared bytes of fixed size."""
    import triton

    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        tool = triton.knobs.nvidia.cuobjdump.path
        said = subprocess.run(
            [tool, "--dump-resource-usage", file.name],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return tuple(
        int(re.search(rf"{key}:(\d+)", said)[1]) for key in ("REG", "STACK", "SHARED")
    )


# ------------------------------------------------------------------ from a text


def compiled_text(
    text: str,
    kernel: str,
    pointers: dict[str, str],
    divisible: list[str],
    constants: dict[str, int],
) -> Compiled:
    """Compile a cell's `kernel` with these constants.

    Arguments without a pointer's dtype are int32; those in `divisible`, multiples of
    16. Instructions are PTX. It happens in a new process, in which Triton compiles.
    AssertionError with what the compiler said, or where it takes too long.
    """
    asked = json.dumps([text, kernel, pointers, divisible, constants])
    with tempfile.TemporaryDirectory() as cache:
        changed = {"TRITON_CACHE_DIR": cache, "PYTHONPATH": str(_root())}
        kept = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
        try:
            done = subprocess.run(
                [sys.executable, "-m", "lib.hopper"],
                input=asked,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                env=kept | changed,
            )
        except subprocess.TimeoutExpired:
            raise AssertionError(f"compiling took more than {SECONDS:g} s") from None
    if done.returncode:
        why = done.stderr.strip()[-1500:]
        raise AssertionError(f"the compiler ended with {done.returncode}: {why}")
    told = json.loads(done.stdout)
    if isinstance(told, str):
        raise AssertionError(f"the compiler refuses {kernel}: {told}")
    return Compiled(**told)


def _root() -> Path:
    return Path(__file__).resolve().parents[1]


def _compile_asked(
    text: str,
    name: str,
    pointers: dict[str, str],
    divisible: list[str],
    constants: dict[str, int],
) -> Compiled:
    """Define a text's kernels, each on its own lines, and compile one.

    Nothing else of the text runs, and the kernels find no built-in function.
    """
    import triton
    import triton.language as tl
    from triton.compiler import ASTSource

    lines, kept = text.splitlines(), {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            first = node.decorator_list[0].lineno - 1
            kept |= {at: lines[at] for at in range(first, node.end_lineno)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cell.py"
        path.write_text("\n".join(kept.get(at, "") for at in range(len(lines))) + "\n")
        cell = {"__name__": "cell", "__builtins__": {}, "triton": triton, "tl": tl}
        exec(compile(path.read_text(), path, "exec"), cell)
        kernel = cell[name]
        types = argument_types(kernel, pointers, constants)
        attributes = {
            (at,): WHOLE
            for at, argument in enumerate(kernel.arg_names)
            if argument in divisible
        }
        source = ASTSource(kernel, types, constants, attributes)
        options = {"num_warps": WARPS, "num_stages": STAGES}
        return compiled(name, source, options, ptx=True)


def main() -> None:
    """Read what is asked, print a line of JSON: a result, or why there is none.

    Whatever is printed meanwhile, by Python or below it, goes to stderr.
    """
    asked, answer = json.load(sys.stdin), os.dup(1)
    os.dup2(2, 1)
    try:
        told = asdict(_compile_asked(*asked))
    except Exception as error:
        told = f"{type(error).__name__}: {error}"[:2000]
    with os.fdopen(answer, "w") as file:
        json.dump(told, file)


if __name__ == "__main__":
    main()
