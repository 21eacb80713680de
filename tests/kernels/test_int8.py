"""LLM.int8() as kernels: codes bit for bit, integer sums exact, the rest bounded."""

import math

import pytest
import torch
from torch import nn

from lib.kernels.core.tiles import Tile, inside
from lib.kernels.int8 import Int8Matrix, int8_linear, int8_reference, pack_int8
from lib.kernels.int8 import product as module
from lib.kernels.int8.product import MAX_COLUMNS, coded, launch
from lib.layers import int8 as layers
from lib.layers.int8 import Int8Linear
from lib.quant.outliers.int8 import outlier_features, quantize_rows

HALF = torch.float16
ULP = {HALF: 2.0**-11, torch.bfloat16: 2.0**-8, torch.float32: 2.0**-24}
LEAST = {HALF: 2.0**-24, torch.bfloat16: 2.0**-126, torch.float32: 2.0**-126}
SKINNY = {"tile": inside(16, 4, warps=2, stages=2)}
WIDE = {"tile": Tile(16, 32, warps=2, stages=2)}
KERNELS = pytest.mark.parametrize(
    "kernel", [{"naive": True}, SKINNY, WIDE], ids=["naive", "skinny", "wide"]
)
pytestmark = pytest.mark.usefixtures("poisoned")


def activations(m, cols, generator, *, outliers=3, dtype=HALF):
    """Values below 6, and as many columns as wanted in which one token has 20."""
    x = torch.randn(m, cols, generator=generator).clamp(-5, 5)
    columns = torch.randperm(cols, generator=generator)[:outliers]
    x[torch.randint(m, (len(columns),), generator=generator), columns] = 20
    return x.to(dtype)


def check(y, x, w, *, threshold=6.0, bias=None):
    """y within (|O| + 10) 2⁻²⁴ of its terms, none of which is a sum over K."""
    there = {"threshold": threshold, "dtype": torch.float64}
    exact = int8_reference(x.double(), w, **there)
    columns = outlier_features(x.float(), threshold=threshold)
    large = torch.zeros_like(x)
    large[:, columns] = x[:, columns]
    regular = int8_reference(x.double() - large.double(), w, **there)
    size = large.double().abs() @ w.codes.double().abs().T
    size = regular.abs() + size * (w.absmax.double() / 127)
    if bias is not None:
        exact, size = exact + bias.double(), size + bias.double().abs()
    bound = 2.0**-24 * (len(columns) + 10) * size
    bound += ULP[x.dtype] * (exact.abs() + bound) + LEAST[x.dtype]
    worst = ((y.double() - exact).abs() / bound).max()
    assert y.shape == exact.shape and y.dtype == x.dtype
    assert worst <= 1, f"an error of {worst:.2f} times what the arithmetic allows"


def run(m, rows, cols, device, generator, *, kernel, dtype=HALF, outliers=3, **options):
    w = pack_int8(torch.randn(rows, cols, generator=generator)).to(device)
    x = activations(m, cols, generator, outliers=outliers, dtype=dtype).to(device)
    check(launch(x, w, **kernel, **options), x, w, **options)


@KERNELS
@pytest.mark.parametrize("m", [1, 3, 5])
def test_few_tokens(m, kernel, device, generator):
    run(m, 9, 300, device, generator, kernel=kernel)


@pytest.mark.parametrize(
    ("m", "kernel"),
    [(33, SKINNY), (33, WIDE), (70, WIDE)],
    ids=["33-skinny", "33-wide", "70-wide"],
)
def test_many_tokens(m, kernel, device, generator):
    run(m, 17, 300, device, generator, kernel=kernel)


@pytest.mark.parametrize("kernel", [SKINNY, WIDE], ids=["skinny", "wide"])
@pytest.mark.parametrize("rows", [1, 15, 16])
def test_rows_that_straddle_the_tile(rows, kernel, device, generator):
    run(2, rows, 256, device, generator, kernel=kernel)


@KERNELS
@pytest.mark.parametrize("cols", [1, 31, 127, 128, 129, 512])
def test_any_number_of_columns(cols, kernel, device, generator):
    run(2, 3, cols, device, generator, kernel=kernel)


@KERNELS
@pytest.mark.parametrize("outliers", [0, 1, 16, 17, 130])
def test_any_number_of_outliers_up_to_all_columns(outliers, kernel, device, generator):
    run(2, 3, 130, device, generator, kernel=kernel, outliers=outliers)


@KERNELS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_other_dtypes(dtype, kernel, device, generator):
    bias = torch.randn(9, generator=generator).to(dtype).to(device)
    run(3, 9, 200, device, generator, kernel=kernel, dtype=dtype, bias=bias)


@KERNELS
def test_a_bias(kernel, device, generator):
    bias = torch.randn(9, generator=generator).half().to(device)
    run(2, 9, 96, device, generator, kernel=kernel, bias=bias)


def test_the_tiles_that_are_chosen_by_the_rule(device, generator):
    for m in (1, 7, 16, 20, 65):
        run(m, 48, 512, device, generator, kernel={})


def test_float32_takes_no_tile_whose_sums_registers_cannot_hold(monkeypatch):
    """Compiled for Hopper, 128 x 256 spills in float32, and only there."""
    monkeypatch.setattr(module, "num_sms", lambda x: 132)
    w = Int8Matrix(torch.zeros(4096, 128, dtype=torch.int8), torch.ones(4096))
    x = torch.zeros(8192, 128)
    narrow, wide = (module.int8_tile(t, w).batch for t in (x, x.half()))
    assert (narrow, wide) == (128, 256)


@KERNELS
@pytest.mark.parametrize("cols", [1, 130, 1400])
def test_the_integer_sums_are_exact(cols, kernel, device, generator):
    """With both maxima 127, s = 1 and the sum alone is left, rounded above 2²⁴."""
    x = torch.randint(-127, 128, (2, cols), generator=generator)
    codes = torch.randint(-127, 128, (3, cols), generator=generator)
    x[:, 0], x[0], codes[0] = 127, 127, 127  # among them the largest sum there can be
    w = Int8Matrix(codes.to(torch.int8), torch.full((3,), 127.0)).to(device)
    y = launch(x.float().to(device), w, threshold=math.inf, **kernel)
    assert torch.equal(y, (x @ codes.T).to(y))


@pytest.mark.parametrize("dtype", ULP, ids=str)
@pytest.mark.parametrize("m", [1, 3, 4, 5, 70])
def test_codes_maxima_and_outliers_are_lib_s(m, dtype, device, generator):
    x = activations(m, 333, generator, dtype=dtype).to(device)
    x[-1, 100], x[0, 101] = 6.0, 5.96875  # the threshold itself; the bf16 below it
    columns = outlier_features(x)
    expected = quantize_rows(x.index_fill(1, columns, 0))
    wide = x.float() if device == "cpu" else x  # the interpreter's bf16 is wrong
    codes, absmax, found = coded(wide, 6.0)
    assert torch.equal(codes, expected[0]) and torch.equal(absmax, expected[1])
    assert found[0] == len(columns) >= 4 and 100 in columns and 101 not in columns
    assert torch.equal(found[1 : 1 + len(columns)], columns.int())


def test_the_ends_of_float32(device):
    x = torch.tensor([[3e38, -1e38, 1e30], [1e-37, 2e-37, 1e-45], [1e-30, 3e-31, 0]])
    expected = quantize_rows(x)
    codes, absmax, _ = coded(x.to(device), math.inf)
    assert torch.equal(codes.cpu(), expected[0]) and codes[0, 1] == -42
    assert torch.equal(absmax.cpu(), expected[1])


def test_halves_go_to_the_even_code(device):
    x = torch.tensor([[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5]]).to(device)
    codes, _, _ = coded(x.half(), math.inf)
    assert codes.tolist() == [[127, 0, 2, 2, 0, -2, -2, 126]]


@pytest.mark.parametrize("m", [1, 5])
def test_the_list_goes_on_from_block_to_block(m, device):
    x = torch.zeros(m, 4099)
    x[m // 2, [0, 7, 4095, 4096, 4098]] = torch.tensor([6.0, -7, 8, -9, 10])
    found = coded(x.half().to(device), 6.0)[2]
    assert found[:6].tolist() == [5, 0, 7, 4095, 4096, 4098]


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # numpy's inf · 0
@KERNELS
@pytest.mark.parametrize("threshold", [6.0, math.inf])
def test_nan_and_infinity_spoil_their_own_token(threshold, kernel, device, generator):
    w = pack_int8(torch.randn(5, 96, generator=generator)).to(device)
    x = activations(3, 96, generator, outliers=0).to(device)
    x[1, 5], x[2, 40] = torch.nan, -torch.inf
    y = launch(x, w, threshold=threshold, **kernel)
    expected = int8_reference(x, w, threshold=threshold)
    assert y[1].isnan().all() and not y[2].isfinite().any()
    assert torch.equal(y[2].nan_to_num(7), expected[2].nan_to_num(7))
    assert torch.allclose(y[0], expected[0], rtol=2.0**-9, atol=2.0**-12)


@KERNELS
def test_zeros_and_denormals(kernel, device, generator):
    w = pack_int8(torch.randn(5, 96, generator=generator)).to(device)
    x = torch.zeros(3, 96, dtype=HALF)
    x[1] = 2.0**-24
    x = x.to(device)
    y = launch(x, w, **kernel)
    assert not y[0].any() and not y[2].any()
    check(y, x, w)
    x = x.float()
    x[1] = 1e-40
    check(launch(x, w, **kernel), x, w)
    nothing = Int8Matrix(torch.zeros_like(w.codes), w.absmax)
    assert not launch(x, nothing, **kernel).any()


def test_the_same_bits_again(device, generator):
    w = pack_int8(torch.randn(17, 300, generator=generator)).to(device)
    x = activations(33, 300, generator, outliers=20).to(device)
    for m, kernel in ((3, SKINNY), (33, WIDE)):
        assert torch.equal(launch(x[:m], w, **kernel), launch(x[:m], w, **kernel))


def test_a_graph_that_was_captured_without_outliers_finds_them(device, generator):
    if device == "cpu":
        pytest.skip("a CPU captures no graphs")
    w = pack_int8(torch.randn(48, 512, generator=generator)).to(device)
    for m in (1, 16, 70):
        x = activations(m, 512, generator, outliers=0).to(device)
        int8_linear(x, w)  # compiles
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = int8_linear(x, w)
        x.copy_(activations(m, 512, generator, outliers=40))
        graph.replay()
        check(y, x, w)


def test_a_view_that_is_not_contiguous(device, generator):
    w = pack_int8(torch.randn(17, 96, generator=generator)).to(device)
    x = activations(96, 2, generator).to(device).T
    check(launch(x, w, **SKINNY), x, w)


@pytest.mark.parametrize("features", [(), (3, 50)])
def test_the_layer_takes_the_kernels(
    features, device, generator, monkeypatch, by_kernel
):
    torch.manual_seed(0)
    linear = nn.Linear(96, 17)
    x = activations(6, 96, generator, dtype=torch.float32)
    layer = Int8Linear(linear, features=features)
    with torch.no_grad():
        expected = layer(x)
        if device == "cpu":
            monkeypatch.setattr(layers, "runs_on", lambda device: True)
        by_kernel("int8_linear", module._on_cuda)
        y = layer.to(device)(x.to(device).view(2, 3, 96)).cpu().flatten(0, 1)
        assert torch.allclose(y, expected, rtol=1e-5, atol=1e-5)
        assert by_kernel.ran == (["int8_linear"] if device == "cpu" else [])
        monkeypatch.setattr(module, "checked_activations", None)
        with pytest.raises(TypeError, match="not callable"):
            layer(x.to(device))
    layer.bias.requires_grad_()
    layer(x.to(device))  # its bias learns: no kernel then


def test_the_entry_takes_what_linear_takes(device, generator):
    w = pack_int8(torch.randn(24, 256, generator=generator)).to(device)
    x = activations(6, 256, generator).to(device)
    bias = torch.randn(24, generator=generator).half().to(device)
    y = int8_linear(x.view(2, 3, 256), w, bias=bias)
    assert y.shape == (2, 3, 24)
    check(y.flatten(0, 1), x, w, bias=bias)
    assert int8_linear(x.view(2, 3, 256)[:0], w).shape == (0, 3, 24)
    assert int8_linear(x[0], w).shape == (24,)
    assert launch(x[:0], w).shape == (0, 24)


def test_the_entry_is_one_node_for_the_compiler(device, generator):
    w = pack_int8(torch.randn(16, 128, generator=generator)).to(device)
    x = activations(2, 128, generator).to(device)
    torch.library.opcheck(
        torch.ops.llm_compression.int8_linear,
        (x, w.codes, w.absmax, None, 6.0),
        test_utils=("test_schema", "test_faketensor"),
    )


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (torch.zeros(1, 128, dtype=torch.float64), {}, "torch.float64"),
        (torch.zeros(1, 64), {}, r"\(1, 64\) does not end in 128"),
        (torch.zeros(1, 128, requires_grad=True), {}, "gradient"),
        (torch.zeros(1, 128), {"threshold": 0.0}, "threshold=0.0"),
        (torch.zeros(1, 128), {"threshold": math.nan}, "threshold=nan"),
        (torch.zeros(1, 128), {"bias": torch.zeros(3)}, "a bias of 3 for 4 rows"),
        (torch.zeros(1, 128), {"bias": torch.zeros(4).half()}, "bias is torch.float16"),
    ],
)
def test_what_the_entry_refuses(x, options, message, generator):
    w = pack_int8(torch.randn(4, 128, generator=generator))
    with pytest.raises(ValueError, match=message):
        int8_linear(x, w, **options)


def test_what_cannot_be_packed():
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        pack_int8(torch.tensor([[1.0, torch.inf]]))
    with pytest.raises(ValueError, match=r"\(0, 3\)"):
        pack_int8(torch.zeros(0, 3))
    with pytest.raises(ValueError, match=f"at most {MAX_COLUMNS}"):
        pack_int8(torch.zeros(1, MAX_COLUMNS + 1))
