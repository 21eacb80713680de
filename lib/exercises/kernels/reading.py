"""Read the text of an answer: kernels, their launch, and nothing that computes aside.

    cell   = imports of torch and triton, kernels (@triton.jit), launch functions
    kernel = its own names, `tl` as listed in LANGUAGE, methods as listed in METHODS
    launch = shapes, allocation, cdiv, and kernel[grid](…)

What passes can be compiled: it defines, and runs nothing of its own when it is read.

Read in order: `source_of`, `read`, `Reader`.
"""

import ast
import linecache
import re
from typing import Any

from lib.exercises.protocol import StudentFunction


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LANGUAGE = _words("""
    abs arange argmax argmin assume bfloat16 broadcast broadcast_to cast cat cdiv clamp
    constexpr cumsum debug_barrier device_print div_rn dot exp exp2 expand_dims fdiv
    flip float16 float32 float64 floor fma full int1 int16 int32 int64 int8 interleave
    join load log log2 max max_contiguous maximum min minimum multiple_of num_programs
    permute program_id range ravel reshape rsqrt sort split sqrt sqrt_rn static_assert
    static_print static_range store sum trans uint16 uint32 uint64 uint8 umulhi view
    where xor_sum zeros zeros_like
""")
METHODS = _words("""
    T abs cast dtype element_ty expand_dims max min numel permute reshape shape split
    sum to trans type value view
""")
TORCH = _words("""
    Tensor device empty empty_like float float16 float32 float64 full full_like half
    int16 int32 int64 int8 uint8 zeros zeros_like
""")
TRITON = _words("cdiv next_power_of_2")
TENSOR = _words("""
    T contiguous device dim dtype element_size flatten is_contiguous itemsize mT nbytes
    ndim new_empty new_full new_zeros numel reshape shape size stride t transpose
    unsqueeze view
""")
BUILTINS = _words("bool float int len max min print range tuple")
IMPORTS = {
    "import torch",
    "import triton",
    "import triton.language as tl",
    "from torch import Tensor",
}
KINDS = (
    *(ast.arguments, ast.arg, ast.keyword, ast.Load, ast.Store),
    *(ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return, ast.Pass),
    *(ast.If, ast.For, ast.While, ast.Break, ast.Continue, ast.IfExp, ast.Assert),
    *(ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Attribute),
    *(ast.Subscript, ast.Slice, ast.Tuple, ast.Starred, ast.List),
    *(ast.Name, ast.Constant),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.Lambda, ast.Raise),
    *(ast.JoinedStr, ast.FormattedValue),
)
NOT_IN_A_KERNEL = (ast.Lambda, ast.Raise, ast.JoinedStr, ast.List)
DECORATOR = "triton.jit"
ANNOTATION = re.compile(r"(tl\.constexpr|Tensor|int|float|bool|tuple|None|[\[\], |.])+")


def source_of(function: Any) -> str:
    """The text of the cell, or file, that defines a function or a kernel.

    A grader's `StudentFunction` knows it from the submitted file.
    """
    if isinstance(function, StudentFunction):
        return function.source
    while inner := getattr(function, "__wrapped__", None) or getattr(
        function, "fn", None
    ):
        function = inner
    return "".join(linecache.getlines(function.__code__.co_filename))


def read(source: str) -> dict[str, ast.FunctionDef]:
    """The functions of a cell, by name; kernels are those with a decorator.

    Raises AssertionError for what a cell of kernels does not have.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise AssertionError(f"line {error.lineno} is no Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise AssertionError("the cell is nested too deep to be read") from None
    functions = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            functions[node.name] = node
        elif not (_is_text(node) or ast.unparse(node) in IMPORTS):
            _refuse(node, "is neither a kernel, nor a launch, nor an import of those")
    for function in functions.values():
        Reader(function, set(functions)).check()
    return functions


def is_kernel(function: ast.FunctionDef) -> bool:
    """Whether it is one, by its decorator."""
    return bool(function.decorator_list)


def _is_text(node: ast.stmt) -> bool:
    """A string that stands for itself: a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _refuse(node: ast.AST, why: str) -> None:
    text = ast.unparse(node).splitlines()[0][:60]
    raise AssertionError(f"line {getattr(node, 'lineno', '?')}: `{text}` {why}.")


class Reader:
    """One function of a cell, read name by name."""

    def __init__(self, function: ast.FunctionDef, cell: set[str]) -> None:
        self.function, self.kernel = function, is_kernel(function)
        nodes = list(ast.walk(function))
        stored = (n.id for n in nodes if isinstance(n, ast.Name) and _stores(n))
        self.own = {n.arg for n in nodes if isinstance(n, ast.arg)} | {*stored}
        self.known = self.own | cell | BUILTINS | {"tl", "NotImplementedError"}
        if not self.kernel:
            self.known |= {"torch", "triton", "Tensor", "ValueError"}

    def check(self) -> None:
        """Raise AssertionError at the first thing that does not belong."""
        for decorator in self.function.decorator_list:
            if ast.unparse(decorator) != DECORATOR:
                _refuse(decorator, "decorates a kernel: only @triton.jit does")
        arguments = self.function.args
        every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        for annotation in (*(one.annotation for one in every), self.function.returns):
            if annotation is not None and not ANNOTATION.fullmatch(
                ast.unparse(annotation)
            ):
                _refuse(annotation, "annotates an argument: a plain type does")
        for default in (*arguments.defaults, *filter(None, arguments.kw_defaults)):
            if not isinstance(default, ast.Constant):
                _refuse(default, "is a default that is not a number")
        if self.kernel and (arguments.vararg or arguments.kwarg):
            _refuse(self.function, "takes * or **: name what a kernel takes")
        for name in self.own & {"tl", "torch", "triton"}:
            _refuse(self.function, f"gives `{name}` another meaning")
        for statement in self.function.body:
            for node in ast.walk(statement):
                self.look(node)

    def look(self, node: ast.AST) -> None:
        """One node of the body; raises AssertionError where it does not belong."""
        where = "a kernel" if self.kernel else "a launch"
        if not isinstance(node, KINDS) or (
            self.kernel and isinstance(node, NOT_IN_A_KERNEL) and not self.stub(node)
        ):
            _refuse(node, f"({type(node).__name__}) does not belong in {where}")
        owner: str | None
        match node:
            case ast.Name(id=name) if name not in self.known:
                _refuse(
                    node, f"is not of this cell: all that {where} needs stands here"
                )
            case ast.Attribute(value=ast.Name(id="tl"), attr=name):
                allowed, owner = LANGUAGE, "tl"
            case ast.Attribute(value=ast.Name(id="torch"), attr=name):
                allowed, owner = TORCH, "torch"
            case ast.Attribute(value=ast.Name(id="triton"), attr=name):
                allowed, owner = TRITON, "triton"
            case ast.Attribute(attr=name):
                allowed, owner = METHODS if self.kernel else TENSOR, None
            case ast.BinOp(op=ast.MatMult()):
                _refuse(node, f"is a product by PyTorch, not by {where}")
            case _:
                return
        if isinstance(node, ast.Attribute) and name not in allowed:
            if not self.kernel:
                _refuse(node, "is work for the kernel: a launch only allocates")
            _refuse(
                node,
                f"({'tl.' if owner == 'tl' else ''}{name}) is not among what these "
                "kernels may use",
            )

    def stub(self, node: ast.AST) -> bool:
        """What stands where nothing is written yet."""
        return isinstance(node, ast.Raise) and "NotImplementedError" in ast.unparse(
            node
        )


def _stores(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)
