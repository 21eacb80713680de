"""A kernel's text, compiled for a GPU that is not there."""

import pytest

from lib.hopper import compiled_text, narrowest_loads
from lib.kernels.core.compiler import MISSING

COPY = """
@triton.jit
def copy(x, y, count, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + at, tl.load(x + at, mask=at < count), mask=at < count)


def launch(x):
    raise RuntimeError("nobody runs this")


raise RuntimeError("nor this")
"""
POINTERS = {"x": "*u8", "y": "*u8"}
needs_triton = pytest.mark.skipif(MISSING is not None, reason="Triton is missing")


@needs_triton
@pytest.mark.parametrize(("block", "width"), [(2048, 16), (1024, 8)])
def test_the_width_of_a_load_is_what_a_thread_gets(block, width):
    multiples = ["x", "y", "count"]
    made = compiled_text(COPY, "copy", POINTERS, multiples, {"BLOCK": block})
    assert made.loads == {"i8": width}
    assert made.stack == 0 and made.shared == 0 and made.registers > 0
    assert made.count("ld.global") == 1 and not made.count("mma")


@needs_triton
def test_what_the_compiler_refuses_is_told():
    with pytest.raises(AssertionError, match=r"(?s)refuses copy.*power of 2"):
        compiled_text(COPY, "copy", POINTERS, [], {"BLOCK": 100})
    with pytest.raises(AssertionError, match="refuses absent"):
        compiled_text(COPY, "absent", POINTERS, [], {})


def test_the_narrowest_load_of_a_dtype_counts():
    text = """
#blocked = #ttg.blocked<{sizePerThread = [1, 16], warps = [4, 1], order = [1, 0]}>
#blocked1 = #ttg.blocked<{sizePerThread = [2, 1], warps = [4, 1], order = [1, 0]}>
  %a = tt.load %p, %m : tensor<8x64x!tt.ptr<i8>, #blocked> loc(#loc)
  %b = tt.load %q : tensor<8x64x!tt.ptr<f16>, #blocked1> loc(#loc)
  %c = ttg.async_copy_global_to_local %p, %s {contiguity = 8 : i32} : \
tensor<8x64x!tt.ptr<i8>, #blocked> -> <8x64xi8>
"""
    assert narrowest_loads(text) == {"i8": 8, "f16": 2}
    alone = "  %d = tt.load %r : !tt.ptr<i8> loc(#loc)\n"
    assert narrowest_loads(text + alone) == {"i8": 1, "f16": 2}
