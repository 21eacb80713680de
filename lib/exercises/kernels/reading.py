"""Read the text of an answer: kernels, their launch, and nothing that computes aside.

    cell   = imports of torch and triton, kernels (@triton.jit), launch functions
    kernel = its own names, `tl` as listed in LANGUAGE, methods as listed in METHODS
    launch = shapes, allocation, cdiv, and kernel[grid](…)

Every node of the tree must be of a kind that is listed here, in a place where it may
stand. What passes is rebuilt from the tree (rebuilding.py): that text runs, and no
other.

Read in order: `source_of`, `read`, `Reader`, `check_names`.
"""

import ast
import linecache
import symtable
from collections.abc import Iterator
from typing import Any

from lib.exercises.kernels.rebuilding import Cell, plain, rebuilt
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
DTYPES = _words("bfloat16 float16 float32 float64 int8 int16 int32 int64 uint8")
TORCH = _words("""
    device empty empty_like float float16 float32 float64 full full_like half int16
    int32 int64 int8 uint8 zeros zeros_like
""")
TRITON = _words("cdiv next_power_of_2")
TENSOR = _words("""
    T contiguous device dim dtype element_size flatten is_contiguous itemsize mT nbytes
    ndim new_empty new_full new_zeros numel reshape shape size stride t transpose
    unsqueeze view
""")
BUILTINS = _words("bool float int len max min print range tuple")
ERRORS = _words("NotImplementedError ValueError")
IMPORTS = {
    "import torch",
    "import triton",
    "import triton.language as tl",
    "from torch import Tensor",
}
IN_A_KERNEL = {"tl": LANGUAGE}
IN_A_LAUNCH = {"tl": DTYPES, "torch": TORCH, "triton": TRITON}
NODES = (
    *(ast.arguments, ast.arg, ast.keyword, ast.Load, ast.Store),
    *(ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return, ast.Pass),
    *(ast.If, ast.For, ast.While, ast.Break, ast.Continue, ast.IfExp, ast.Assert),
    *(ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Attribute),
    *(ast.Subscript, ast.Slice, ast.Tuple, ast.Starred, ast.Name, ast.Constant),
    *(ast.Raise, ast.unaryop, ast.boolop, ast.cmpop),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow),
    *(ast.LShift, ast.RShift, ast.BitOr, ast.BitXor, ast.BitAnd),
)
NODES_OF_A_LAUNCH = (*NODES, ast.Lambda, ast.List, ast.JoinedStr, ast.FormattedValue)


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


def read(source: str) -> Cell:
    """The cell's functions and the text rebuilt of them; nothing of it has run.

    Raises AssertionError for what a cell of kernels does not have.
    """
    try:
        tree = plain(ast.parse(source))
        functions: dict[str, ast.FunctionDef] = {}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                if node.name in functions:
                    first = functions[node.name].lineno
                    _refuse(node, f"is there twice, see line {first}: keep one of them")
                functions[node.name] = node
            elif not (isinstance(node, ast.Pass) or ast.unparse(node) in IMPORTS):
                _refuse(
                    node, "is neither a kernel, nor a launch, nor an import of those"
                )
        for function in functions.values():
            Reader(function).read()
        cell = rebuilt(functions)
        check_names(cell)
    except SyntaxError as error:
        raise AssertionError(f"line {error.lineno} is no Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise AssertionError("the cell is nested too deep to be read") from None
    return cell


def _refuse(node: ast.AST, why: str) -> None:
    text = ast.unparse(node).strip().splitlines()[0][:60]
    if isinstance(node, ast.FunctionDef):
        text = f"def {node.name}"
    raise AssertionError(f"line {getattr(node, 'lineno', '?')}: `{text}` {why}.")


class Reader(ast.NodeVisitor):
    """One function of a cell; raises AssertionError at what does not belong.

    What has no method here, and is not among the nodes that are listed, is refused.
    """

    def __init__(self, function: ast.FunctionDef) -> None:
        self.function, self.kernel = function, bool(function.decorator_list)
        self.where = "a kernel" if self.kernel else "a launch"
        self.nodes = NODES if self.kernel else NODES_OF_A_LAUNCH
        self.modules = IN_A_KERNEL if self.kernel else IN_A_LAUNCH

    def read(self) -> None:
        """The function itself, and all that is in it."""
        node, arguments = self.function, self.function.args
        for decorator in node.decorator_list:
            if ast.unparse(decorator) != "triton.jit" or len(node.decorator_list) > 1:
                _refuse(decorator, "decorates a kernel: only one @triton.jit does")
        for default in (*arguments.defaults, *filter(None, arguments.kw_defaults)):
            if not isinstance(getattr(default, "operand", default), ast.Constant):
                _refuse(default, "is a default that is not a number")
        if self.kernel and (arguments.vararg or arguments.kwarg):
            _refuse(node, "takes * or **: name what a kernel takes")
        for inside in (arguments, *getattr(node, "type_params", ()), *node.body):
            self.visit(inside)

    def generic_visit(self, node: ast.AST) -> None:
        """Go on into a node of a kind that is listed."""
        if not isinstance(node, self.nodes):
            kind = type(node).__name__
            _refuse(node, f"({kind}) does not belong in {self.where}")
        super().generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """What a module, a tensor or a kernel's number is asked for."""
        match node.value:
            case ast.Name(id=name) if name in {"tl", "torch", "triton"}:
                allowed = self.modules.get(name, frozenset())
            case _:
                allowed = METHODS if self.kernel else TENSOR
                self.visit(node.value)
        if node.attr not in allowed or not isinstance(node.ctx, ast.Load):
            said = "is not among what these kernels may use"
            if not self.kernel:
                said = "is work for the kernel: a launch only allocates"
            _refuse(node, said)

    def visit_Name(self, node: ast.Name) -> None:
        """A module never stands alone: it could go on under another name."""
        if node.id in {"tl", "torch", "triton"}:
            what = "gets another meaning" if _stores(node) else "stands alone"
            _refuse(node, f"{what}: write `{node.id}.…`, with what you need of it")

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """A kernel stores with tl.store."""
        if self.kernel and _stores(node):
            _refuse(node, "is no place to store to: tl.store is a kernel's way")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """A call of what has a name, or the launch of a kernel."""
        named = (ast.Name, ast.Attribute, ast.Subscript)
        if not isinstance(node.func, named):
            _refuse(node, f"calls what has no name, and {self.where} does not")
        if any(keyword.arg is None for keyword in node.keywords):
            _refuse(node, "passes **: name what you pass")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Numbers; a product of matrices is tl.dot."""
        if isinstance(node.op, ast.MatMult):
            _refuse(node, f"is a product by PyTorch, not by {self.where}")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """A launch refuses what it is given; a stub says that it is not written."""
        error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        errors = {"NotImplementedError"} if self.kernel else ERRORS
        if not (isinstance(error, ast.Name) and error.id in errors) or node.cause:
            _refuse(node, f"(Raise) does not belong in {self.where}")
        self.generic_visit(node)


def _stores(node: Any) -> bool:
    return not isinstance(node.ctx, ast.Load)


# ------------------------------------------------------------------ names


def check_names(cell: Cell) -> None:
    """Every name is its function's own, or one that all may use.

    Python's own table of names decides. Raises AssertionError for any other.
    """
    everywhere = BUILTINS | {"tl", "NotImplementedError"}
    in_a_launch = everywhere | ERRORS | {"torch", "triton"} | cell.functions.keys()
    for taken in cell.functions.keys() & (everywhere | in_a_launch - {*cell.functions}):
        _refuse(cell.functions[taken], f"is the name of something else: not `{taken}`")
    for table in symtable.symtable(cell.text, "<cell>", "exec").get_children():
        function = cell.functions[table.get_name()]
        in_a_kernel = everywhere | cell.kernels
        known = in_a_kernel if function.decorator_list else in_a_launch
        for name in _from_outside(table):
            if name not in known:
                _name_refused(function, name, cell)


def _from_outside(table: symtable.SymbolTable) -> Iterator[str]:
    """The names that a function, or a lambda in it, takes from the cell or Python."""
    for symbol in table.get_symbols():
        if symbol.is_global():
            yield symbol.get_name()
        elif symbol.get_name() in {"tl", "torch", "triton"}:
            yield f"{symbol.get_name()}, as an argument"
    for inner in table.get_children():
        yield from _from_outside(inner)


def _name_refused(function: ast.FunctionDef, name: str, cell: Cell) -> None:
    names = (n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == name)
    node = next(names, function)
    if name in cell.functions:
        _refuse(node, "is no kernel, and a kernel calls only those: write @triton.jit")
    what = "a kernel" if function.decorator_list else "a launch"
    if node is function:
        _refuse(node, f"uses `{name}`: that is another meaning, or none")
    _refuse(node, f"is not of this cell: all that {what} needs stands here")
