"""On a GPU a layer multiplies by its codes, and nobody else can tell."""

import copy
import io
from dataclasses import replace

import pytest
import torch
from torch import nn

from lib.kernels.core import compiler
from lib.kernels.core.planes import PLANES_PER_WORD, Planes
from lib.kernels.int4 import product as int4
from lib.kernels.nf4 import product as nf4
from lib.kernels.unfold import dense as unfold
from lib.layers import packed
from lib.layers.kernel_matrix import MOST_TOKENS, KernelMatrix
from lib.layers.packed import PackedLinear
from lib.layers.stored import StoredMatrix
from lib.models.packed_file import load_quantized, save_quantized
from lib.quant.codebooks.normal_float import FourBit, quantize_4bit
from lib.quant.hessian import Hessian
from lib.quant.serialize import serialize
from lib.quant.solvers.gptq import GPTQ
from lib.quant.solvers.spqr import SpQR
from lib.quant.uniform.grouped import Grouped, round_to_nearest

ROWS, COLS = 48, 192

pytestmark = pytest.mark.usefixtures("poisoned")


def random_layer(generator):
    """A weight, and the second moment of its inputs."""
    seen = Hessian(COLS)
    seen.add(torch.randn(300, COLS, generator=generator))
    return torch.randn(ROWS, COLS, generator=generator), seen


METHODS = {
    "symmetric": lambda w, _: round_to_nearest(w, bits=4, group=64, symmetric=True),
    "zero points": lambda w, _: round_to_nearest(w, bits=4, group=64),
    "3 bits": lambda w, _: round_to_nearest(w, bits=3, group=32),
    "odd groups": lambda w, _: round_to_nearest(w, bits=2, group=24, symmetric=True),
    "act-order": lambda w, seen: GPTQ(4, 64, act_order=True).quantize(w, seen),
    "nf4": lambda w, _: quantize_4bit(w.half()),
    "nf4 double": lambda w, _: quantize_4bit(w, double=True),
}


@pytest.fixture(params=METHODS)
def quantized(request, generator):
    return METHODS[request.param](*random_layer(generator))


@pytest.fixture
def gpu(device, monkeypatch, by_kernel):
    """Where the layers take kernels: a GPU, or a CPU that is taken for one."""
    if device == "cpu":
        monkeypatch.setattr(packed, "runs_on", lambda device: True)
    by_kernel("int4_product", int4._on_cuda)
    by_kernel("nf4_product", nf4._on_cuda)
    by_kernel("unfold", unfold._on_cuda)
    return device


def plain(quantized):
    """Ŵ in float32, by lib.quant alone."""
    if isinstance(quantized, FourBit):
        quantized = replace(quantized, dtype=torch.float32)
    return quantized.dequantize()


@pytest.fixture
def back(monkeypatch):
    """A way back to a CPU that is taken for nothing else."""

    def go(module):
        monkeypatch.setattr(packed, "runs_on", compiler.runs_on)
        return module.to("cpu")

    return go


def test_kernels_want_a_gpu_and_triton(device, monkeypatch):
    assert not compiler.runs_on(torch.device("cpu"))
    assert not compiler.runs_on(torch.device("meta"))
    assert compiler.runs_on(torch.device("cuda"))
    monkeypatch.setattr(compiler, "MISSING", ImportError())
    assert not compiler.runs_on(torch.device("cuda"))


def test_what_goes_in_comes_back(quantized):
    folded = KernelMatrix.from_quantized(quantized)
    (mine, about), (theirs, metadata) = map(serialize, (folded.quantized(), quantized))
    assert about == metadata and mine.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert mine[name].dtype == tensor.dtype and torch.equal(mine[name], tensor)
    assert torch.equal(folded.matrix(), quantized.dequantize())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_unfolded_it_is_the_matrix(quantized, dtype, device):
    weight = KernelMatrix.from_quantized(quantized).to(device).weight
    w = unfold.launch(weight, dtype)
    assert torch.equal(w, unfold.unfold_reference(weight, dtype)) and w.dtype == dtype
    if (order := getattr(quantized, "order", None)) is None:
        order = torch.arange(COLS)
    assert torch.equal(w.cpu(), plain(quantized)[:, order].to(dtype))


@pytest.mark.parametrize("bias", [False, True])
def test_it_is_the_product_with_the_unpacked_matrix(
    quantized, bias, gpu, by_kernel, generator
):
    b = torch.randn(ROWS, generator=generator) if bias else None
    x = torch.randn(2, 3, COLS, generator=generator)
    w = plain(quantized).double()
    exact = x.double() @ w.T + (0.0 if b is None else b.double())
    layer = PackedLinear.from_quantized(quantized, b).to(gpu)
    assert isinstance(layer.held, KernelMatrix)
    y = layer(x.to(gpu)).cpu()
    product = "nf4_product" if isinstance(quantized, FourBit) else "int4_product"
    assert by_kernel.ran == ([product] if gpu == "cpu" else []), "the kernel, and once"
    assert y.shape == (2, 3, ROWS) and y.dtype == x.dtype
    terms = x.double().abs() @ w.abs().T + (0 if b is None else b.abs())
    assert ((y - exact).abs() <= 2.0**-23 * (COLS + 8) * terms).all()


def test_many_tokens_gradients_and_float64_take_the_matrix(quantized, gpu, generator):
    layer = PackedLinear.from_quantized(quantized).to(gpu)
    most = MOST_TOKENS[layer.held.kind]
    x = torch.randn(most + 1, COLS, generator=generator).to(gpu)
    learns = x[:2].clone().requires_grad_()
    assert layer.held.suits(x[:most]) and not layer.held.suits(x)
    assert not layer.held.suits(x[:1].double()) and not layer.held.suits(learns)
    with torch.no_grad():
        assert layer.held.suits(learns)
    w = plain(quantized).to(x)
    assert torch.allclose(layer(x), x @ w.T, atol=1e-4)
    assert torch.allclose(layer(x[:2].double()), x[:2].double() @ w.double().T)
    layer(learns).sum().backward()
    assert torch.allclose(learns.grad[0], w.sum(0), atol=1e-3)


def test_the_matrix_is_built_once_and_again_where_its_buffers_move(generator):
    held = KernelMatrix.from_quantized(
        quantize_4bit(torch.randn(8, 64, generator=generator))
    )
    before = held.weight
    assert held.weight is before
    held._apply(torch.clone)  # as `to` does for another device
    assert held.weight is not before
    assert held.weight.codes.data_ptr() == held.codes.data_ptr()
    assert copy.deepcopy(held).weight.codes.data_ptr() != held.codes.data_ptr()


def test_it_holds_one_copy(generator, gpu):
    w = torch.randn(ROWS, 256, generator=generator)
    for name in ("symmetric", "nf4", "nf4 double"):
        layer = PackedLinear.from_quantized(METHODS[name](w, None))
        nbytes = sum(tensor.nbytes for tensor in layer.tensors().values())
        assert layer.to(gpu).nbytes <= nbytes + 8, name


def same_state(one, other):
    a, b = one.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert tensor.dtype == b[name].dtype and torch.equal(
            tensor.cpu(), b[name].cpu()
        )


def test_state_moves_casts_and_copies(quantized, generator, gpu, back):
    bias = torch.randn(ROWS, generator=generator)
    tensors, metadata = serialize(quantized)
    plain = nn.Sequential(PackedLinear(tensors, metadata, bias))
    fast = copy.deepcopy(plain).to(gpu)
    assert isinstance(fast[0].held, KernelMatrix)
    assert fast.state_dict().keys() >= {"0.bias"}
    same_state(fast, plain)
    x = torch.randn(2, COLS, generator=generator).to(gpu)
    y = fast(x)
    assert torch.equal(copy.deepcopy(fast)(x), y)
    file = io.BytesIO()
    torch.save(fast, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(x), y)
    half = copy.deepcopy(fast).half()  # constants in float32 must stay as they are
    assert torch.equal(half[0].weight_matrix(), fast[0].weight_matrix())
    assert (half(x.half()) - y).norm() / y.norm() < 2e-3
    again = back(fast)
    assert isinstance(again[0].held, StoredMatrix)
    same_state(again, nn.Sequential(PackedLinear(tensors, metadata, bias)))
    w = quantized.dequantize().float()
    assert torch.equal(again(x.cpu()), nn.functional.linear(x.cpu(), w, bias))


def test_a_load_reaches_the_layout(generator, gpu):
    one, two = (
        PackedLinear.from_quantized(round_to_nearest(w, bits=4, group=64)).to(gpu)
        for w in torch.randn(2, ROWS, COLS, generator=generator)
    )
    x = torch.randn(2, COLS, generator=generator).to(gpu)
    assert not torch.equal(one(x), two(x))
    missing, extra = one.load_state_dict(two.state_dict())
    assert not missing and not extra and torch.equal(one(x), two(x))


def test_few_groups_are_padded_little():
    """SmolLM2's 576 columns are nine groups of 64: no multiple of four planes of 64."""
    for cols, group, length, padded in (
        *((576, 64, 32, 640), (1536, 64, 64, 1536), (4096, 128, 64, 4096)),
        *((4096, 32, 32, 4096), (96, 24, 32, 128), (192, 48, 32, 256)),
    ):
        planes = Planes(cols, group)
        assert planes.length == length, (cols, group)
        assert PLANES_PER_WORD * planes.chunks * planes.length == padded, (cols, group)


def test_casts_round_no_constant_on_a_cpu_either(quantized):
    plain = PackedLinear.from_quantized(quantized)
    same_state(copy.deepcopy(plain).half().double(), plain)


def test_a_file_is_the_same_from_either(generator, gpu, tmp_path):
    def model(seed):
        layers = (
            METHODS[name](*random_layer(generator.manual_seed(seed)))
            for name in ("zero points", "nf4 double")
        )
        return nn.ModuleList(PackedLinear.from_quantized(layer) for layer in layers)

    save_quantized(model(0), tmp_path / "plain")
    save_quantized(model(0).to(gpu), tmp_path / "fast")
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "fast").read_bytes()
    loaded = load_quantized(model(1), tmp_path / "fast").to(gpu)
    same_state(loaded, model(0))


def test_an_order_is_an_order(generator):
    found = METHODS["act-order"](*random_layer(generator))
    assert isinstance(found, Grouped)
    assert not torch.equal(found.order, torch.arange(COLS)), "nothing to undo"


def test_what_no_kernel_takes_stays_packed(gpu, generator):
    w, seen = random_layer(generator)
    for quantized, why in (
        (round_to_nearest(w, bits=8, group=COLS), "4 bits"),
        (quantize_4bit(w[:, :ROWS]), "64"),  # blocks of 64, rows of 48
        (quantize_4bit(w, kind="fp4"), "fp4"),
        (SpQR().quantize(w, seen), "SparseGrouped"),
    ):
        with pytest.raises(ValueError, match=why):
            KernelMatrix.from_quantized(quantized)
        with pytest.warns(UserWarning, match=f"up_proj is unpacked .*{why}") as told:
            layer = PackedLinear.from_quantized(quantized, name="up_proj").to(gpu)
            layer.half().float().to(gpu)
        assert len(told) == 1, "once is enough"
        assert isinstance(layer.held, StoredMatrix)
        assert "unpacked in every call" in repr(layer) and why in repr(layer)
        x = torch.randn(2, layer.metadata["shape"][1], generator=generator).to(gpu)
        assert torch.allclose(layer(x), x @ quantized.dequantize().to(x).T, atol=1e-4)
    layer = PackedLinear.from_quantized(quantize_4bit(w)).to(gpu)
    assert "nf4, 48x192" in repr(layer) and "in every call" not in repr(layer)
