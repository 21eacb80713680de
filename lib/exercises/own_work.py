"""What a homework asks its readers to write themselves, and a kind word to who forgets.

`own_work` stands in every graded cell, so that the student's own check (Validate) and
the grader say the same. It reads a function and the notebook's functions that it calls:
a reminder, not a wall. The wall is the grader's, which keeps `WITHHELD` out of reach.
"""

import dis
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType

PACKED = (  # what holds codes, and all that leans on it
    *("lib.kernels", "lib.layers"),
    *("lib.models.quantize", "lib.models.packed_file", "lib.models.gguf_file"),
)
ROUNDING = (  # lib.prune stores what it leaves in few bits
    *("lib.quant", "lib.prune", *PACKED),
    *("lib.models.rescale", "lib.models.rotate", "lib.models.structure"),
)
WITHHELD = {
    "hw_costs": ("lib.cost", "lib.figures", "lib.train"),
    "hw_distillation": ("lib.distill", *PACKED),
    "hw_formats": ("lib.formats", *PACKED, "ml_dtypes"),
    "hw_kernels": PACKED,
    "hw_kv_cache": ("lib.decode", *ROUNDING),
    "hw_linear": ROUNDING,
    "hw_llm_int8": (*ROUNDING, "bitsandbytes"),
    "hw_mixed_precision": ("lib.train", "lib.formats", *ROUNDING, "ml_dtypes"),
    "hw_normal_float": (*ROUNDING, "bitsandbytes"),
    "hw_pruning": ROUNDING,
    "hw_qat": ("lib.train", "lib.distill", *ROUNDING),
    "hw_qlora": ("lib.train", *ROUNDING, "bitsandbytes", "peft"),
    "hw_quantization": ROUNDING,
    "hw_speculative": ("lib.decode",),
    "hw_structured": ROUNDING,
}


def own_work(homework: str, *functions: object) -> None:
    """Raise AssertionError where one of `functions` leans on what `homework` withholds.

    Anything but a plain Python function is let through: a grader passes stand-ins for
    functions that run elsewhere (`StudentFunction`). Raises ValueError for an unknown
    `homework`.
    """
    if homework not in WITHHELD:
        raise ValueError(f"no homework {homework!r}; known: {', '.join(WITHHELD)}")
    for function in functions:
        for name in used_names(function):
            for withheld in WITHHELD[homework]:
                if is_within(name, withheld):
                    raise AssertionError(
                        f"{named(function)} uses {name}, and writing that is what "
                        f"{homework} is about. Take it out and put yours in its place."
                    )


def named(function: object) -> str:
    """What its author calls a function."""
    return getattr(function, "__name__", "a function")


def is_within(name: str, package: str) -> bool:
    """Say whether the dotted `name` is `package` or lies in it."""
    return name == package or name.startswith(package + ".")


def used_names(function: object) -> Iterator[str]:
    """Yield the dotted names that a function, and those it calls, import or borrow."""
    waiting, seen = [function], set()
    while waiting:
        function = waiting.pop()
        function = getattr(function, "fn", function)  # a kernel's own
        if not isinstance(function, FunctionType) or function in seen:
            continue
        seen.add(function)
        waiting += [held.cell_contents for held in function.__closure__ or ()]
        for code in nested_codes(function.__code__):
            yield from imported_names(code)
            for name in code.co_names:
                value = function.__globals__.get(name)
                if isinstance(value, ModuleType):
                    yield value.__name__
                    yield from (f"{value.__name__}.{part}" for part in code.co_names)
                else:
                    yield str(getattr(value, "__module__", None))
                    waiting.append(value)


def nested_codes(code: CodeType) -> Iterator[CodeType]:
    """Yield `code` and the code of every function and comprehension inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested_codes(constant)


def imported_names(code: CodeType) -> Iterator[str]:
    """Yield what import statements inside `code` name, and strings that could."""
    module = ""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            module = instruction.argval
            yield module
        elif instruction.opname == "IMPORT_FROM":
            yield f"{module}.{instruction.argval}"
    yield from (text for text in code.co_consts if isinstance(text, str))
