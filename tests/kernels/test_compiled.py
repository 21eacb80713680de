"""The fast kernels, compiled for Hopper on whatever machine this is.

What must hold holds with every compiler: nothing spills, loads and stores are wide, no
more instructions than memory has time for. Exact counts were read from the code of one
Triton and its ptxas, `COUNTED_WITH`; `exactly` lets them pass where another is
installed, which may schedule the same kernel otherwise.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.hopper import Compiled, stored_early
from lib.kernels import inspect
from lib.kernels.core.compile import compile_kernel
from lib.kernels.core.compiler import MISSING
from lib.kernels.core.planes import planes_of
from lib.kernels.core.tiles import Tile, inside
from lib.kernels.ends.tile import HOLD
from lib.kernels.int4.cases import SKINNY
from lib.kernels.int4.product import shared_bytes
from lib.kernels.nf4.assembly import LEVELS_BYTES, PAIRS, PAIRS_BYTES
from lib.kernels.nf4.product import OPT_IN_BYTES

ROOT = Path(inspect.__file__).parent
COUNTED_WITH = ("3.7.1", "12.8")  # Triton, ptxas
SHARED = 227 * 1024  # bytes that a program of an H100 may have
REGISTERS = 65_536  # of a multiprocessor
TABLES = PAIRS_BYTES + LEVELS_BYTES


PTX_OF_NF4 = """
import json, triton
from lib.kernels.nf4 import cases
made, compile = [], triton.compile
triton.compile = lambda *args: made.append(compile(*args)) or made[-1]
names = [case.name for case in cases.cases()]
texts = [one.asm["ptx"] for one in made]
print(json.dumps(dict(zip(names, texts, strict=True))))
"""


PTX_OF_MORE = """
import json, triton
from lib.kernels.attend import cases as attend
from lib.kernels.ends import cases as ends
from lib.kernels.int4 import cases as int4
from lib.kernels.int8 import cases as int8
from lib.kernels.wanda import cases as wanda
made, compile = [], triton.compile
triton.compile = lambda *args: made.append(compile(*args)) or made[-1]
names = [case.name for cases in (%s) for case in cases.cases()]
texts = [one.asm["ptx"] for one in made]
print(json.dumps(dict(zip(names, texts, strict=True))))
"""
WORDS = ("launch_dependents", "wait")


def told(*arguments):
    """The JSON that a Python process prints, in which Triton compiles."""
    if MISSING is not None:
        pytest.skip("Triton is not installed")
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    said = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr[-2000:]
    return json.loads(said.stdout)


@pytest.fixture(scope="module")
def kernels():
    """Every case, compiled."""
    rows = told("-m", "lib.kernels.inspect", "--json")
    return {row["name"]: Compiled(**row) for row in rows}


def named(kernels, *parts, without=()):
    """The kernels whose names have all of `parts` and none of `without`; some do."""
    found = [
        kernel
        for name, kernel in kernels.items()
        if all(part in name for part in parts)
        and not any(part in name for part in without)
    ]
    assert found, f"no kernel is named {parts}, without {without}"
    return found


def exactly(count, expected):
    """Whether a count is as it was read, if this compiler is the one it was read of."""
    import triton

    installed = triton.__version__, triton.knobs.nvidia.ptxas.version
    return count == expected or installed != COUNTED_WITH


def test_every_operation_lists_its_cases():
    folders = {path.parent.name for path in ROOT.glob("*/*_triton.py")}
    assert folders == {cases.__name__.split(".")[-2] for cases in inspect.OPERATIONS}


def test_nothing_spills_and_everything_fits(kernels):
    for kernel in named(kernels):
        assert kernel.stack == 0, f"{kernel.name} spills {kernel.stack} bytes a thread"
        assert kernel.shared <= SHARED, f"{kernel.name} wants {kernel.shared} bytes"
        assert not kernel.count("LDL") and not kernel.count("STL"), kernel.name


def test_an_int4_program_takes_no_more_shared_memory_than_its_rule_counts(kernels):
    planes = planes_of(8192, 128)
    for rows, batch, splits, stages in SKINNY:
        counted = shared_bytes(inside(rows, batch, splits, stages), planes, 2)
        for kernel in named(kernels, f"int4_skinny_{batch}_", without=["ends"]):
            if (splits != 4) == (f"_{splits}_warps" in kernel.name):
                assert kernel.shared <= counted, kernel.name
    for kernel in named(kernels, "int4_wide_64"):
        assert kernel.shared <= shared_bytes(Tile(64, 64, stages=3), planes, 2)


def test_products_use_the_matrix_unit_and_background_copies(kernels):
    wide = named(kernels, "_wide_", without=["cast"])
    for kernel in named(kernels, "_skinny_") + wide:
        name = kernel.name
        unit = "GMMA" if "wide" in name else "MMA"
        unit = ("I" if "int8" in name else "H") + unit
        assert kernel.count(unit), f"{name} never multiplies on the matrix unit"
        assert kernel.count("LDGSTS", "128"), f"{name} copies fewer than 16 bytes"


def test_only_a_store_before_a_product_is_early():
    assert stored_early(["STS.128", "HMMA.16816", "STS.128", "HMMA", "STS.128"]) == 2
    assert stored_early(["LDS", "HGMMA.64x64", "STS.128"]) == 0


def test_decoded_weights_stay_in_registers(kernels):
    """NF4 stores its table at first, 32 KB, and nothing else."""
    for kernel in named(kernels, "_skinny_", without=["int8"]):
        name = kernel.name
        threads = 64 if name == "nf4_skinny_16_bf16" else 128
        threads = 256 if "8_warps" in name else threads
        has_table = "nf4" in name and "shuffled" not in name
        table = PAIRS_BYTES // (16 * threads) if has_table else 0
        assert kernel.stored_early <= table, f"{name} stores what it decoded"
        assert exactly(kernel.stored_early, table), name
        late = kernel.count("STS.128") - table  # what 8 warps exchange at the end
        assert "8_warps" in name or exactly(late, 0), f"{name} stores 16 bytes"


def test_no_lookup_comes_before_the_table_is_there():
    """Pieces of assembly share the table's symbol, and nothing says so to the compiler.

    It may move a lookup as it likes, for a lookup has no side effects. What keeps it
    behind the barrier is that its code is loaded there; this holds that it stays so.
    """
    texts = {k: v for k, v in told("-c", PTX_OF_NF4).items() if f"{PAIRS}[" in v}
    assert len(texts) == 3, list(texts)
    for name, text in texts.items():
        assert text.count(f"{PAIRS}[") == 1, f"{name} has the table twice"
        room = text.index(f"{PAIRS}[")
        filled = text.rindex("{a, a, a, a}")
        lookup = text.index(f"mov.u32 u, {PAIRS};")
        assert room < filled < text.index("bar.sync", filled) < lookup, name


def test_a_load_from_the_table_finds_two_levels(kernels):
    """Per thread 32 x 256 x 4 / 128 = 256 weights: 128 loads, some for constants.

    Shuffles would be 256; 32 fill the table.
    """
    kernel = kernels["nf4_skinny_1_fp16"]
    loads = kernel.instructions["LDS"]
    assert 128 <= loads < 200 and kernel.count("SHFL") < 64


def test_a_launch_asks_for_the_tables_room_as_well(kernels):
    """Only a program that wants 48 KB for its buffers is given more than 48 in all."""
    for kernel in named(kernels, "nf4_skinny", without=["shuffled"]):
        assert kernel.shared - TABLES >= OPT_IN_BYTES, kernel.name


def test_two_weights_are_decoded_by_one_instruction(kernels):
    """Per thread 32 x 256 x 4 / 128 = 256 weights: 128 subtractions, not 256."""
    kernel = kernels["int4_skinny_1_fp16_symmetric"]
    subtractions = kernel.instructions["HADD2"]
    assert 128 <= subtractions < 150, f"{subtractions} subtractions for 256 weights"


def test_few_tokens_keep_many_bytes_on_their_way(kernels):
    """3.35 TB/s for a microsecond of latency are 25 KB for each of 132."""
    for name in ("int4_skinny_1_fp16_symmetric", "nf4_skinny_1_fp16"):
        kernel = kernels[name]
        table = TABLES * ("nf4" in name)
        programs = min(
            SHARED // kernel.shared,
            REGISTERS // (128 * kernel.registers),
        )
        assert programs >= 2 and programs * (kernel.shared - table) >= 4 * 25_000, name


def test_an_end_leaves_its_product_as_it_was(kernels):
    """The matrix unit, codes in loads of 16 bytes; what is stored early are codes.

    A held turn crosses from loads to the unit's operands through shared memory: 64
    words of 2 bytes for 16 or 32 rows of a warp, before they are decoded.
    """
    for kernel in named(kernels, "ends_int4") + named(kernels, "ends_nf4"):
        assert kernel.count("HMMA") and kernel.loads["i16"] == 16, kernel.name
    for kernel in named(kernels, "ends_int4", without=["_16"]):
        held = HOLD * 64 * 2 // (32 * 16)  # stores of 16 bytes a thread
        assert kernel.stored_early <= held, f"{kernel.name} stores what it decoded"
    whole = kernels["ends_int4_normed_4096_2"]
    assert not whole.count("LDGSTS"), "all turns are held"
    for kernel in named(kernels, "ends_dense"):
        assert kernel.count("HMMA") and kernel.count("LDGSTS", "128"), kernel.name


@pytest.fixture(scope="module")
def step():
    """The assembly of every kernel of a step."""
    return told("-c", PTX_OF_MORE % "ends, attend")


def test_a_chain_s_kernels_let_the_next_one_start_before_they_wait(step):
    """A small one that waits first costs its neighbours 2.5 µs; `embed` has to."""
    assert len(step) > 10
    for name, text in step.items():
        launch, wait = (text.index(f"griddepcontrol.{w}") for w in WORDS)
        assert (launch < wait) == (name != "ends_embed"), name


def test_a_small_kernel_lets_the_next_one_start_before_it_waits():
    """`pdl_wait` alone is for products, which leave no place while they work."""
    texts = told("-c", PTX_OF_MORE % "int4, int8, wanda") | told("-c", PTX_OF_NF4)
    small = ("sum_splits", "int8_mark", "int8_encode", "nf4_dequantize", "_row")
    seen = set()
    for name, text in texts.items():
        if "griddepcontrol" not in text:
            continue
        launch, wait = (text.index(f"griddepcontrol.{w}") for w in WORDS)
        kinds = {kind for kind in small if kind in name}
        assert (launch < wait) == bool(kinds), name
        seen |= kinds
    assert seen == set(small)


def test_what_depends_on_no_other_kernel_is_read_before_the_wait(step):
    """Attention's first tile of keys and values, and the weights of held turns."""
    for name in (
        "attend_llama_7b",
        "ends_int4_normed_4096_2",
        "ends_dense_best_4096_2",
    ):
        before = step[name].split("griddepcontrol.wait")[0]
        assert before.count("ld.global") >= 8, f"{name} begins with nothing"


def _products(kernel, kind):
    """Instructions of the matrix unit on integers (I) or halves (H)."""
    return kernel.count(f"{kind}MMA") + kernel.count(f"{kind}GMMA")


def test_int8_meets_int8_on_the_matrix_unit_and_outliers_their_own_dtype(kernels):
    """No code becomes a float but those of the outliers' columns, 16 of them a turn."""
    for kernel in named(kernels, "int8_skinny") + named(kernels, "int8_wide"):
        integers, floats = _products(kernel, "I"), _products(kernel, "H")
        assert integers >= 4 * floats > 0, f"{kernel.name}: {integers} and {floats}"


def test_levels_are_looked_up_once_a_weight_and_written_in_whole_sectors(kernels):
    kernel = kernels["nf4_dequantize_fp16"]
    assert 0 < kernel.count("SHFL") <= 32, "32 weights a thread, a shuffle each"
    assert kernel.count("STG") == kernel.count("STG", "128") > 0
    assert exactly((kernel.count("SHFL"), kernel.count("STG")), (32, 4))


def test_unfolded_rows_are_written_16_bytes_at_a_time(kernels):
    for name in ("unfold_int4_fp16", "unfold_nf4_fp16"):
        kernel = kernels[name]
        assert kernel.count("STG") == kernel.count("STG", "128") > 0, name
        assert exactly(kernel.count("STG"), 4), "four planes"
    assert exactly(kernels["unfold_nf4_fp16"].count("SHFL"), 32), "one a weight"


def test_neighbours_are_compared_in_the_registers_of_a_thread(kernels):
    """16 weights a thread, 8 to a load; its 8 norms alone go through shared memory."""
    for name in ("wanda_2_of_4_fp16", "wanda_4_of_8_fp16"):
        kernel = kernels[name]
        assert kernel.count("STG") == kernel.count("STG", "128") > 0
        assert not kernel.count("SHFL") and kernel.count("STS") <= 2
        assert exactly((kernel.count("STG"), kernel.count("STS")), (2, 2))
        assert sum(kernel.instructions.values()) < 16 * 24, "memory is the slower part"
    kernel = kernels["wanda_8_of_16_bf16"]
    assert kernel.count("SHFL") <= 18, "two threads show their lists to each other once"
    assert sum(kernel.instructions.values()) < 16 * 34, "and sort only their own"


def test_held_rows_leave_room_for_latency(kernels):
    for kernel in named(kernels, "wanda", "_row"):
        assert kernel.registers <= 64, f"{kernel.name}: 32 warps need 64 registers each"


def test_scores_that_are_denormal_are_not_flushed(kernels):
    for kernel in named(kernels, "wanda"):
        assert kernel.count("FMUL") and not kernel.count("FTZ"), kernel.name


def test_a_cast_is_few_instructions_a_value_and_moves_16_bytes_at_a_time(kernels):
    """An H100 issues about 10 in the time of a byte; and none flushes denormals."""
    values = {"stochastic": 32, "largest": 64}  # a thread; the others have 16
    values |= {"bytes": 32, "pairs": 32, "nvfp4": 32}
    most = {"nearest": 16, "mx": 19, "nvfp4": 35, "stochastic": 28, "largest": 6}
    most |= {"bytes": 15, "pairs": 19}
    casts = named(kernels, "cast_")
    assert len(casts) == 15
    for kernel in casts:
        part = kernel.name.split("_")[1]
        each = sum(kernel.instructions.values()) / values.get(part, 16)
        each -= 8 * ("wide" in kernel.name)
        assert each <= most[part], f"{kernel.name}: {each:.1f} a value"
        narrow = kernel.count("LDG") - kernel.count("LDG", "128")
        assert narrow <= (part == "nvfp4"), f"{kernel.name}: t is one load"
        assert exactly(narrow, int(part == "nvfp4")), kernel.name
        packed = part in ("bytes", "pairs")  # 8 or 4 bytes for 8 values of a thread
        stores = kernel.count("STG") * (not packed)
        assert kernel.count("STG", "128") == stores, kernel.name
        for flushing in ("FADD.FTZ", "FMUL.FTZ", "FFMA.FTZ"):
            assert part == "nvfp4" or not kernel.count(flushing), kernel.name
        exact = kernel.count("FCHK")  # of a division that is rounded correctly
        assert (exact > 0) == (part == "nvfp4"), f"{kernel.name}: t is exact"
        assert exactly(exact, int(part == "nvfp4")), kernel.name


def test_columns_of_x_reach_the_matrix_unit_as_they_lie_in_memory(kernels):
    """16 bits: copies of 16 bytes, read turned by the unit; into parts, room for two.

    Of float32 six products for one, each twice as long as a turn of 16 tokens.
    """
    for name in ("hessian_fp16", "hessian_parts_bf16"):
        kernel = kernels[name]
        assert kernel.count("HGMMA") > 0, name
        assert exactly(kernel.count("HGMMA"), 4), f"{name}: 64 tokens, 16 at a time"
        assert kernel.count("LDGSTS") == kernel.count("LDGSTS", "128") > 0
    products = kernels["hessian_parts_fp32"].count("HGMMA")
    assert products > 0 and products % 6 == 0 and exactly(products, 2 * 6)
    two = kernels["hessian_parts_bf16"]
    assert two.registers <= 128 and 2 * two.shared <= SHARED, "two programs of 8 warps"
    for kernel in (kernels["hessian_fp16"], kernels["hessian_finish"]):
        assert kernel.count("STG") == kernel.count("STG", "128") > 0, kernel.name


def test_counting_the_bits_of_a_word_is_one_instruction_for_each_half(kernels):
    """The sums of neighbours are gone: a thread's 16 words of 64 are 32 counts."""
    for name in ("xnor_1", "xnor_16"):
        kernel = kernels[name]
        assert kernel.count("POPC") == 32, name
        assert kernel.count("LDG") == kernel.count("LDG", "64"), name
    assert kernels["xnor_1"].count("REDUX") > 0


def test_a_row_is_read_and_written_sixteen_bytes_at_a_time(kernels):
    """Two passes, or three: the label, and nothing else, is a narrow load."""
    for kernel in named(kernels, "soft_rows_", without=["scale"]):
        wide = kernel.count("LDG", "128")
        assert kernel.count("LDG") - wide <= 1, kernel.name
        assert wide >= 4 and kernel.count("STG", "128") > 0, kernel.name
        threads = REGISTERS // kernel.registers
        assert threads >= 2 * 256, f"{kernel.name}: two programs of 8 warps, at least"


@pytest.mark.skipif(MISSING is not None, reason="Triton is not installed")
def test_an_interpreted_kernel_cannot_be_compiled(device):
    if device == "cuda":
        pytest.skip("kernels are not interpreted here")
    with pytest.raises(ValueError, match="TRITON_INTERPRET"):
        compile_kernel("any", None, {}, 4)
