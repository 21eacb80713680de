"""A packed layer is a linear layer: of any input, to a compiler, and to peft."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from lib.layers.packed import PackedLinear
from lib.models.packed_file import dense
from lib.models.quantize import quantize_model
from lib.prune.sparsegpt import SparseGPT
from lib.prune.wanda import Wanda
from lib.quant.codebooks.normal_float import NormalFloat
from lib.quant.hessian import Hessian
from lib.quant.lattices.coded import quip_sharp
from lib.quant.serialize import deserialize, serialize
from lib.quant.solvers.gptq import GPTQ
from lib.quant.solvers.spqr import SpQR
from lib.quant.uniform.grouped import Grouped, RoundToNearest

ROOT = Path(__file__).parents[2]
ROWS, COLS = 24, 32
METHODS = [
    RoundToNearest(4, 8),
    NormalFloat(block=16),
    NormalFloat(double=True),
    GPTQ(3, 8, act_order=True),
    GPTQ(4, 8, symmetric=True),
    SpQR(3, 8, constant_rows=8),
    Wanda(0.5),
    Wanda((2, 4)),
    SparseGPT(0.5, bits=3, group=8),
    quip_sharp(3),
]


def layer_of(method, generator):
    seen = Hessian(COLS)
    seen.add(torch.randn(100, COLS, generator=generator))
    w = torch.randn(ROWS, COLS, generator=generator)
    return PackedLinear.from_quantized(method.quantize(w, seen), torch.randn(ROWS))


@pytest.fixture(params=METHODS, ids=repr)
def layer(request, generator):
    return layer_of(request.param, generator)


@pytest.fixture
def x(generator):
    return torch.randn(5, COLS, generator=generator)


DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_input_meets_any_bias(layer, x, dtype):
    """The bias is float32 here, and so is what most kinds dequantize to."""
    w, bias = layer.weight_matrix(dtype), layer.bias.to(dtype)
    expected = nn.functional.linear(x.to(dtype), w, bias)
    y = layer(x.to(dtype))
    assert y.dtype == dtype
    if layer.metadata["kind"] == "incoherent":  # rotates x, and Ŵ in no call
        lost = (y - expected).double().norm() / expected.double().norm()
        rounded_in = torch.float32 if dtype == torch.float64 else dtype
        assert lost <= 2 * torch.finfo(rounded_in).eps
    else:
        assert torch.equal(y, expected)
    assert torch.equal(copy.deepcopy(layer).to(dtype).weight_matrix(dtype), w)


def test_a_compiler_sees_through_it():
    program = [sys.executable, "-m", "tests.layers.whole_graphs"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("whole:") == len(METHODS)


def test_it_says_what_a_linear_layer_says(layer):
    assert (layer.out_features, layer.in_features) == (ROWS, COLS)
    assert layer.weight.shape == (ROWS, COLS)
    assert torch.equal(layer.weight, layer.weight_matrix())
    assert type(layer.weight + 1) is torch.Tensor
    with pytest.raises(AttributeError):
        layer.weight = torch.zeros(ROWS, COLS)
    with pytest.raises(KeyError):
        layer.weight = nn.Parameter(torch.zeros(ROWS, COLS))
    with pytest.raises(ValueError, match=r"\(24, 32\), is a copy .*dense first"):
        layer.weight.data += 1


@pytest.mark.filterwarnings("ignore:Unsupported layer type:UserWarning")
def test_peft_adapts_it_and_loses_no_merge(tiny_llama):
    peft = pytest.importorskip("peft")
    from peft.tuners.lora import Linear

    tokens = torch.arange(12)[None]
    quantize_model(tiny_llama, NormalFloat())
    plain = tiny_llama(tokens).logits
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "down_proj"])
    config._register_custom_module({PackedLinear: Linear})
    adapted = peft.get_peft_model(copy.deepcopy(tiny_llama), config)
    out = adapted(tokens, labels=tokens)
    assert torch.equal(out.logits, plain), "B is 0 at first"
    out.loss.backward()
    learned = {n for n, p in adapted.named_parameters() if p.grad is not None}
    assert len(learned) == 2 * 2 * 2 and all("lora_" in name for name in learned)
    with pytest.raises(ValueError, match="is a copy of its codes"):
        adapted.merge_and_unload()
    merged = peft.get_peft_model(dense(tiny_llama), config).merge_and_unload()
    assert torch.allclose(merged(tokens).logits, plain, atol=1e-6)


@pytest.mark.parametrize("cols", [2**16, 2**16 + 64])
def test_an_order_has_as_many_bits_as_it_needs(cols, generator):
    """Column 65,536 came back as column 0."""
    order = torch.randperm(cols, generator=generator)
    cut = RoundToNearest(4, 64).quantize(torch.randn(2, cols, generator=generator))
    codes = torch.empty_like(cut.codes).index_copy_(1, order, cut.codes)
    quantized = Grouped(codes, cut.grid, order)
    again = deserialize(*serialize(quantized))
    assert torch.equal(again.order, order)
    assert torch.equal(again.dequantize(), quantized.dequantize())
    layer = PackedLinear.from_quantized(quantized)
    assert layer.nbytes == quantized.bits_per_weight * codes.numel() / 8


def test_outliers_beyond_16_bits_of_columns_keep_theirs(generator):
    cols = 2**16 + 16
    few = torch.randn(16, 32, generator=generator)
    seen = Hessian(32)
    seen.add(torch.randn(64, 32, generator=generator))
    quantized = SpQR(3, 16, threshold=1e-3).quantize(few, seen)
    wide = copy.copy(quantized)
    codes = torch.zeros(16, cols, dtype=torch.uint8)
    groups = cols // 16
    columns = quantized.columns + cols - 32
    constants = {
        name: type(level)(
            level.codes[:, :1].expand(-1, groups).contiguous(),
            level.low[:, :1].expand(-1, groups).contiguous(),
            level.step[:, :1].expand(-1, groups).contiguous(),
            level.bits,
        )
        for name, level in (("scale", quantized.scale), ("zero", quantized.zero))
    }
    for name, value in {"codes": codes, "columns": columns, **constants}.items():
        object.__setattr__(wide, name, value)
    again = deserialize(*serialize(wide))
    assert len(columns) and columns.max() >= 2**16
    assert torch.equal(again.dequantize(), wide.dequantize())
