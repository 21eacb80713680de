"""Every kind of matrix: bytes and metadata hold all of it, and nothing else."""

import json

import pytest
import torch

from lib.quant.codebooks.normal_float import NormalFloat
from lib.quant.method import Method, Quantized
from lib.quant.serialize import KINDS, deserialize, serialize
from lib.quant.solvers.gptq import GPTQ
from lib.quant.solvers.hessian import Hessian
from lib.quant.solvers.spqr import SpQR
from lib.quant.uniform.grouped import RoundToNearest

METHODS = [
    RoundToNearest(3, 8),
    RoundToNearest(8, 16, symmetric=True),
    GPTQ(2, 8, act_order=True),
    SpQR(3, 8, constant_rows=4, act_order=True),
    NormalFloat(block=16),
    NormalFloat("fp4", double=True),
]


@pytest.fixture
def layer():
    generator = torch.Generator().manual_seed(0)
    seen = Hessian(32)
    seen.add(torch.randn(100, 32, generator=generator))
    return torch.randn(12, 32, generator=generator), seen


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_back_from_bytes_it_dequantizes_to_the_same_bits(method, layer):
    assert isinstance(method, Method)
    quantized = method.quantize(*layer)
    assert isinstance(quantized, Quantized)
    tensors, metadata = serialize(quantized)
    again = deserialize(tensors, json.loads(json.dumps(metadata)))
    assert type(again) is KINDS[metadata["kind"]].of is type(quantized)
    assert torch.equal(again.dequantize(), quantized.dequantize())
    bits = 8 * sum(tensor.nbytes for tensor in tensors.values())
    assert abs(bits - quantized.bits_per_weight * 12 * 32) < 8 * len(tensors)


def test_every_kind_is_tried_here(layer):
    tried = {serialize(method.quantize(*layer))[1]["kind"] for method in METHODS}
    assert tried == KINDS.keys()


def test_strangers_are_named(as_a_user):
    with pytest.raises(ValueError, match="no kind of file holds a Tensor"):
        serialize(torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"kind=None is not one of \['four_bit'"):
        deserialize({}, {})
    with pytest.raises(ValueError, match="a four_bit matrix lacks its 'scales'"):
        deserialize({"packed": torch.zeros(1)}, {"kind": "four_bit"})


def test_a_method_prepares_nothing_unless_it_says_so(layer):
    class Halves(Method):
        pass

    assert Halves().prepare(None, None) is None and Halves.calibrated
    with pytest.raises(NotImplementedError):
        Halves().quantize(*layer)
