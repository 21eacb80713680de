"""Answers that want points without a kernel, or with one that does not do the work.

Each is a cell with a function `decoded(packed, steps)`: the codes times the step of
their row. Run as a program, it prints what each came to: {name: how it ended}. Right
numbers from `honest` alone; what is said to the others is beside each.
"""

import contextlib
import json
import sys

IDLE = """
@triton.jit
def idle(w):
    pass
"""
ONE = """
@triton.jit
def one(w, at, value):
    tl.store(w + at, value)
"""
WORK = """
def work(packed, steps, w):
    w[:, ::2], w[:, 1::2] = (packed & 15) * steps, (packed >> 4) * steps
"""
FUNCTION = """
def decoded(packed, steps):
    w = torch.empty(packed.shape[0], 2 * packed.shape[1])
    {}
    return w
"""


def launching(body, *parts):
    """A cell whose launch has these lines around its result, after these parts."""
    return "".join(parts) + FUNCTION.format(body.strip().replace("\n", "\n    "))


HONEST = '''
@triton.jit
def decode(packed, steps, w, cols, BLOCK: tl.constexpr = 16):
    """A row a program."""
    row, col = tl.program_id(0), tl.arange(0, BLOCK)
    byte = tl.load(packed + row * (cols // 2) + col // 2, mask=col < cols, other=0)
    code = (byte >> (col % 2 * 4).to(tl.uint8)) & 15
    step = tl.load(steps + row).to(tl.float32)
    tl.store(w + row * cols + col, code.to(tl.float32) * step, mask=col < cols)
'''
LAUNCH = "decode[(w.shape[0],)](packed, steps, w, w.shape[1])"
TAKES_OVER = '''  # to Triton's interpreter a kernel begins at the last line with `def `
@triton.jit
def decode(packed, steps, w):
    """
def decode(packed, steps, w):
    np.save("taken", 0)
    """
    tl.store(w, 0.0)
    tl.static_print('"""#')
'''
TORCH = "work(packed, steps, w)"
CELLS = {  # a cell, and what its author is told
    "honest": (launching(LAUNCH, HONEST), "right"),
    # no kernel at all, or one that idles while PyTorch works
    "no kernel": (launching(TORCH, WORK), "asks PyTorch"),
    "idle": (launching(f"idle[(1,)](w)\n{TORCH}", IDLE, WORK), "asks PyTorch"),
    "never launched": (launching("pass", IDLE), "launched no kernel"),
    "matmul": (launching("w = packed @ steps", IDLE), "product by PyTorch"),
    "in place": (launching("idle[(1,)](w)\nw += 1", IDLE), "asks PyTorch"),
    # the launch's hooks, where the interpreter is already at work
    "grid": (
        launching("idle[lambda m: (work(packed, steps, w), (1,))[1]](w)", IDLE, WORK),
        "asks PyTorch",
    ),
    "grid's arguments": (
        launching(
            "idle[lambda m: grid(m)](w, packed, steps)",
            IDLE.replace("(w)", "(w, packed, steps)"),
            WORK,
            "\ndef grid(m):\n"
            "    work(m['packed'], m['steps'], m['w'])\n"
            "    return 1,\n",
        ),
        "asks PyTorch",
    ),
    "constant": (
        launching(
            "idle[(1,)](packed, steps, w)",
            """
@triton.jit
def idle(packed: tl.constexpr, steps: tl.constexpr, w: tl.constexpr):
    w.view(-1).sum(), w.to(packed.dtype)
""",
        ),
        "constants are numbers",
    ),
    "function as constant": (
        launching(
            "idle[(1,)](w, lambda: work(packed, steps, w))",
            "\n@triton.jit\ndef idle(w, f: tl.constexpr):\n    f()\n",
            WORK,
        ),
        "constants are numbers",
    ),
    "list of tensors": (
        launching("idle[(1,)]([w, packed])", IDLE),
        "takes tensors and numbers",
    ),
    "kernel calls a launch": (
        launching(
            "idle[(1,)](packed, steps, w)",
            "@triton.jit\ndef idle(packed, steps, w):\n    work(packed, steps, w)\n",
            WORK,
        ),
        "a kernel calls only those",
    ),
    "pre_hook": (
        launching("idle.add_pre_run_hook(work)\nidle[(1,)](w)", IDLE, WORK),
        "work for the kernel",
    ),
    "autotune": (
        launching(
            "idle[(1,)](w)",
            "@triton.autotune([], [], pre_hook=print)" + IDLE,
        ),
        "decorates",
    ),
    "heuristics": (
        launching("idle[(1,)](w)", "@triton.heuristics({'B': print})" + IDLE),
        "decorates",
    ),
    "noinline": (
        launching("idle[(1,)](w)", IDLE.replace("jit", "jit(noinline=True)")),
        "decorates",
    ),
    "constexpr_function": (
        launching("idle[(1,)](w)", IDLE.replace("jit", "constexpr_function")),
        "decorates",
    ),
    # numbers that leave a tensor, for a launch that computes by itself
    "format": (
        launching("one[(1,)](w, 0, float(f'{steps[0, 0]}'))", ONE),
        "makes text of a tensor",
    ),
    "percent": (
        launching("a = '%s'\none[(1,)](w, 0, float((a % steps[0, 0])[7:10]))", ONE),
        "makes text of a tensor",
    ),
    "repr of bytes": (
        launching("one[(1,)](w, 0, len(b'%a' % steps))", ONE),
        "makes text of a tensor",
    ),
    "shape": (
        launching("n = torch.empty((packed[0, 0],)).shape[0]\none[(1,)](w, 0, n)", ONE),
        "knows shapes only",
    ),
    "slice": (
        launching("n = len(packed[: packed[0, 0]])\none[(1,)](w, 0, n)", ONE),
        "knows shapes only",
    ),
    "fill": (
        launching("w = torch.full((2, 4), steps[0, 0])", ONE),
        "knows shapes only",
    ),
    "branch": (
        launching("while packed[0, 0]:\n    break\none[(1,)](w, 0, 1)", ONE),
        "`__bool__`",
    ),
    "index": (launching("n = range(99)[packed[0, 0]]", ONE), "`__index__`"),
    "maximum": (launching("n = max(packed[0])", ONE), "asks PyTorch"),
    "number of programs": (launching("one[(packed[0, 0],)](w, 0, 1)", ONE), "__int__"),
    "gather": (launching("w = steps[:, [0, 0, 0, 0]]", ONE), "copies a tensor"),
    "transpose": (launching("w = packed.t().contiguous()", ONE), "copies a tensor"),
    "writes its argument": (
        launching("one[(1,)](steps, 0, 1)", ONE),
        "was given w to read",
    ),
    # names
    "tensor of a list": (launching("w = torch.Tensor([1.0])", ONE), "work for the ker"),
    "core": (launching("pass", IDLE, "\ndef f(): tl.core.builtin\n"), "work for the"),
    "inline_asm": (
        launching("pass", IDLE.replace("pass", "tl.inline_asm_elementwise('')")),
        "not among",
    ),
    "extern": (
        launching("pass", IDLE.replace("pass", "tl.extra.cuda.libdevice.abs(1)")),
        "not among",
    ),
    "runtime": (launching("triton.runtime.driver", IDLE), "work for the kernel"),
    "another name for tl": (
        launching("pass", IDLE.replace("pass", "a = tl")),
        "stands alone",
    ),
    "another name for torch": (launching("t = torch\nt.view(w)", ONE), "stands alone"),
    "torch as an argument": (
        launching("(lambda torch: torch.zeros)(w)", IDLE),
        "calls what has no name",
    ),
    "torch by a lambda": (
        launching("f = lambda torch: torch.zeros\nf(w)", IDLE),
        "another meaning",
    ),
    "star": (launching("for *torch, in ():\n    pass", IDLE), "another meaning"),
    "interpreter's own numpy": (
        launching("idle[(1,)](w)", IDLE.replace("pass", "np.save('taken', 0)")),
        "not among",
    ),
    "handle": (
        launching("pass", IDLE.replace("pass", "tl.load(w).handle.data")),
        "not among",
    ),
    "globals": (launching("decoded.__globals__", IDLE), "work for the kernel"),
    "attribute of a kernel": (
        launching("idle[(1,)](w)", IDLE.replace("pass", "idle.T = w")),
        "not among",
    ),
    "docstring": (launching("decode[(1,)](packed, steps, w)", TAKES_OVER), "wrong"),
    # what runs when a cell is read, and which text that is
    "eval is own": (
        launching("eval('1')\nunused = lambda eval: 0", IDLE),
        "not of this cell",
    ),
    "twice": (
        launching("idle[(1,)](w)", IDLE, "@__import__('os').abort" + IDLE),
        "twice",
    ),
    "twice, first": (
        launching("idle[(1,)](w)", "@print\ndef idle(w): ...\n", IDLE),
        "twice",
    ),
    "annotated": (
        launching("idle[(1,)](w)", IDLE).replace(
            "(packed, steps)",
            "(packed: open('taken', 'w'), steps, *a: 1 / 0, **k: 2())",
        ),
        "wrong",
    ),
    "default": (
        launching("pass", IDLE.replace("(w)", "(w=open('taken', 'w'))")),
        "default",
    ),
    "class": (launching("pass", IDLE, "class A:\n    1 / 0\n"), "neither a kernel"),
    "class inside": (launching("class A:\n    pass", IDLE), "ClassDef"),
    "inner function": (launching("def idle(w): ...", IDLE), "FunctionDef"),
    "walrus": (launching("(torch := w)", IDLE), "NamedExpr"),
    "comprehension": (launching("[0 for torch in w]", IDLE), "ListComp"),
    "match": (launching("match w:\n    case torch: pass", IDLE), "Match"),
    "global": (launching("global torch\ntorch = w", IDLE), "Global"),
    "nonlocal": (launching("nonlocal w", IDLE), "Nonlocal"),
    "import inside": (launching("import os as idle", IDLE), "Import"),
    "except as": (
        launching("try:\n    pass\nexcept ValueError as torch:\n    pass", IDLE),
        "Try",
    ),
    "with as": (launching("with w as torch:\n    pass", IDLE), "With"),
    "del": (launching("del idle", IDLE), "Delete"),
    "async": (launching("pass", IDLE, "async def f(): ..."), "neither a kernel"),
    "await": (launching("yield w", IDLE), "Yield"),
    "dict": (launching("idle[(1,)](**{'w': w})", IDLE), "passes **"),
    "taken name": (launching("pass", IDLE, "def print(x): ...\n"), "something else"),
    "kernel's name from a loop": (
        launching("for idle in (print,):\n    idle(w)", IDLE),
        "launched no kernel",
    ),
}
if sys.version_info >= (3, 12):
    CELLS["type parameters"] = (
        launching("idle[(1,)](w)", IDLE).replace("decoded(", "decoded[T: 1 / 0]("),
        "TypeVar",
    )


def outcome(torch, source):
    """How an answer ended: "right", "wrong", or what its author is told."""
    from lib.exercises.kernels.isolated import called

    packed = torch.tensor([[0x21, 0x43], [0x65, 0x87]], dtype=torch.uint8)
    steps = torch.tensor([[0.5], [2.0]]).half()
    try:
        (w, _) = called(source, "decoded", (packed, steps), {})
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    right = torch.tensor([[0.5, 1.0, 1.5, 2.0], [10.0, 12.0, 14.0, 16.0]])
    return "right" if w.equal(right) else "wrong"


def main():
    from lib.exercises.kernels import interpreted

    interpreted()
    import torch

    with contextlib.redirect_stdout(sys.stderr):
        ended = {name: outcome(torch, source) for name, (source, _) in CELLS.items()}
    json.dump(ended, sys.stdout)


if __name__ == "__main__":
    main()
