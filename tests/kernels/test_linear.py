"""A layer that multiplies by codes computes what the layer that unpacks them does."""

import pytest
import torch
from torch import nn

from lib.kernels.linear import KernelLinear, accelerate
from lib.quant.gptq import GPTQ
from lib.quant.grouped import Grouped, round_to_nearest
from lib.quant.hessian import Hessian
from lib.quant.normal_float import quantize_4bit
from lib.quant.packed_linear import PackedLinear
from lib.quant.spqr import SpQR

ROWS, COLS = 48, 256


def random_layer(generator):
    """A weight, and the second moment of its inputs."""
    seen = Hessian(COLS)
    seen.add(torch.randn(300, COLS, generator=generator))
    return torch.randn(ROWS, COLS, generator=generator), seen


def methods(generator):
    w, seen = random_layer(generator)
    return {
        "symmetric": round_to_nearest(w, bits=4, group=64, symmetric=True),
        "zero points": round_to_nearest(w, bits=4, group=64),
        "3 bits": round_to_nearest(w, bits=3, group=32),
        "act-order": GPTQ(4, 64, act_order=True).quantize(w, seen),
        "nf4": quantize_4bit(w),
        "nf4 double": quantize_4bit(w, double=True),
    }


@pytest.mark.parametrize("bias", [False, True])
def test_it_is_the_product_with_the_unpacked_matrix(bias, device, generator):
    b = torch.randn(ROWS, generator=generator).to(device) if bias else None
    x = torch.randn(2, 3, COLS, generator=generator).to(device)
    for name, quantized in methods(generator).items():
        packed = PackedLinear.of(quantized).to(device)
        exact = packed(x.double()) + (0.0 if b is None else b.double())
        layer = KernelLinear.of(quantized, b).to(device)
        y = layer(x)
        assert y.shape == (2, 3, ROWS) and y.dtype == x.dtype
        terms = x.double().abs() @ packed.weight_matrix().double().abs().T
        bound = 2.0**-23 * (COLS + 8) * (terms + (0 if b is None else b.abs()))
        assert ((y - exact).abs() <= bound).all(), name


def test_an_order_is_an_order(generator):
    found = methods(generator)["act-order"]
    assert isinstance(found, Grouped)
    assert not torch.equal(found.order, torch.arange(COLS)), "nothing to undo"


def test_as_small_as_packed(generator):
    found = methods(generator)
    for name in ("symmetric", "nf4", "nf4 double"):
        fast, packed = KernelLinear.of(found[name]), PackedLinear.of(found[name])
        assert fast.nbytes <= packed.nbytes + 8, name


def test_half_precision_and_moves(device, generator):
    layer = KernelLinear.of(methods(generator)["nf4 double"]).to(device)
    x = torch.randn(4, COLS, generator=generator).to(device)
    y = layer.half()(x.half())  # constants in float32 must stay as they are stored
    assert y.dtype == torch.float16
    assert (y - layer(x)).norm() / y.float().norm() < 2e-3


def test_what_no_kernel_takes_stays_packed(device, generator):
    w, seen = random_layer(generator)
    model = nn.Sequential(
        PackedLinear.of(round_to_nearest(w, bits=4, group=64)),
        PackedLinear.of(round_to_nearest(w[:, :ROWS], bits=8, group=ROWS)),
        PackedLinear.of(quantize_4bit(w[:, :ROWS])),  # blocks of 64, rows of 48
        PackedLinear.of(SpQR().quantize(w, seen)),
        nn.Linear(3, 3),
    )
    kept = list(model)[1:]
    left = accelerate(model)
    assert left.keys() == {"1", "2", "3"}
    assert "4 bits" in left["1"] and "64" in left["2"] and "Sparse" in left["3"]
    assert isinstance(model[0], KernelLinear) and list(model)[1:] == kept
    assert "int4, 48x256" in repr(model)
    with pytest.raises(ValueError, match="SparseGrouped"):
        KernelLinear.of(SpQR().quantize(w, seen))
