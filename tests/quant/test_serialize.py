"""What is written is what was counted, and reads back bit for bit the same."""

import json

import pytest
import torch

from lib.prune.magnitude import Magnitude
from lib.prune.sparsegpt import SparseGPT
from lib.quant.additive.aqlm import AQLM
from lib.quant.aware.ternary import BitNet158
from lib.quant.codebooks.normal_float import quantize_4bit
from lib.quant.hessian import Hessian
from lib.quant.lattices.coded import BlockLDLQ, quip_sharp
from lib.quant.lattices.codes import E8Code, ScalarCode
from lib.quant.method import Method, Quantized
from lib.quant.rotations.incoherence import Incoherence
from lib.quant.serialize import KINDS, deserialize, serialize
from lib.quant.solvers.gptq import GPTQ, gptq
from lib.quant.solvers.spqr import SpQR, spqr
from lib.quant.solvers.trellis_ldlq import TrellisLDLQ
from lib.quant.uniform.grouped import round_to_nearest

ROWS, COLS = 16, 24


def inputs():
    stream = Hessian(COLS)
    stream.add(torch.randn(100, COLS, generator=torch.Generator().manual_seed(1)))
    return stream


def first(cols):
    stream = Hessian(cols)
    stream.add(torch.randn(100, cols, generator=torch.Generator().manual_seed(1)))
    return stream


def layer():
    draw = torch.Generator().manual_seed(0)
    stream = Hessian(COLS)
    stream.add(torch.randn(100, COLS, generator=draw))
    return torch.randn(ROWS, COLS, generator=draw), stream.matrix


def four_bit(w, dtype=torch.float32, **settings):
    return quantize_4bit(w.to(dtype), **settings)


CASES = {
    "grouped": [
        *(
            lambda w, h, b=bits: round_to_nearest(w, bits=b, group=8)
            for bits in range(1, 9)
        ),
        lambda w, h: round_to_nearest(w, bits=3, group=8, symmetric=True),
        lambda w, h: round_to_nearest(w, bits=8, group=COLS, symmetric=True),
        lambda w, h: gptq(w, h, GPTQ(3, 8, act_order=True)),
        lambda w, h: gptq(w, h, GPTQ(3, 8, act_order=True, symmetric=True)),
    ],
    "sparse": [
        lambda w, h: spqr(w, h, SpQR(3, 8)),
        lambda w, h: spqr(w, h, SpQR(2, 8, constant_bits=4, act_order=True)),
        lambda w, h: spqr(w, h, SpQR(3, 8, threshold=float("inf"))),
    ],
    "four_bit": [
        lambda w, h: four_bit(w),
        lambda w, h: four_bit(w, kind="fp4", block=32),
        lambda w, h: four_bit(w, torch.bfloat16, double=True),
        lambda w, h: four_bit(w[:3, :7], torch.float16, double=True),
        lambda w, h: four_bit(w.view(4, 8, 12)),
    ],
    "ternary": [
        lambda w, h: BitNet158().quantize(w),
        lambda w, h: BitNet158().quantize(w[:3, :7]),
    ],
    "coded": [
        *(
            lambda w, h, b=bits: BlockLDLQ(code=E8Code(b)).quantize(w, inputs())
            for bits in (2, 3, 4)
        ),
        lambda w, h: BlockLDLQ(code=ScalarCode(3), act_order=True).quantize(
            w, inputs()
        ),
    ],
    "incoherent": [
        lambda w, h: quip_sharp(3).quantize(w, inputs()),
        lambda w, h: Incoherence(GPTQ(3, 8), seed=1).quantize(w[:12], inputs()),
    ],
    "trellis": [
        lambda w, h: TrellisLDLQ(6, bits=1).quantize(w[:, :16], first(16)),
        lambda w, h: TrellisLDLQ(7, bits=3, kind="1mad").quantize(w[:, :16], first(16)),
    ],
    "additive": [
        lambda w, h: AQLM(2, 3, rounds=1).quantize(w, inputs()),
        lambda w, h: AQLM(1, 10, 4, rounds=1).quantize(w[:3], inputs()),
    ],
    "bitmap": [
        lambda w, h: Magnitude(0.3).quantize(w, None),
        lambda w, h: Magnitude(0.9, dtype="float32").quantize(w[:5, :7], None),
        lambda w, h: SparseGPT(0.5, mask_block=8).quantize(w, inputs()),
    ],
    "n_of_m": [
        lambda w, h: Magnitude((2, 4)).quantize(w, None),
        lambda w, h: SparseGPT((1, 8), dtype="bfloat16").quantize(w, inputs()),
    ],
    "sparse_codes": [
        lambda w, h: SparseGPT(0.5, bits=4, group=8).quantize(w, inputs()),
        lambda w, h: SparseGPT((2, 4), bits=3, group=12).quantize(w, inputs()),
    ],
}
EACH = [(kind, make) for kind, makes in CASES.items() for make in makes]


def test_every_kind_has_its_cases():
    assert CASES.keys() == KINDS.keys()


@pytest.mark.parametrize(("kind", "make"), EACH)
def test_what_is_read_is_what_was_written(kind, make):
    quantized = make(*layer())
    tensors, metadata = serialize(quantized)
    assert metadata["kind"] == kind
    kept = {name: tensor.clone() for name, tensor in tensors.items()}
    again = deserialize(kept, json.loads(json.dumps(metadata)))
    assert type(again) is type(quantized)
    assert again.bits_per_weight == quantized.bits_per_weight
    ours, theirs = quantized.dequantize(), again.dequantize()
    assert theirs.dtype == ours.dtype and torch.equal(theirs, ours)
    for mine, other in zip(serialize(again), (tensors, metadata), strict=True):
        assert mine.keys() == other.keys()


@pytest.mark.parametrize(("kind", "make"), EACH)
def test_what_is_written_is_what_was_counted(kind, make):
    quantized = make(*layer())
    tensors, _ = serialize(quantized)
    weights = quantized.dequantize().numel()
    written = 8 * sum(tensor.nbytes for tensor in tensors.values())
    spare = written - round(quantized.bits_per_weight * weights)
    assert 0 <= spare < 8 * len(tensors), (
        "only a tensor's last byte may have spare bits"
    )


def test_what_no_file_holds_is_refused(as_a_user):
    with pytest.raises(ValueError, match="no kind of file holds a Tensor"):
        serialize(torch.ones(2, 2))
    for metadata in ({"kind": "senary"}, {}):
        with pytest.raises(ValueError, match=r"kind=.* is not one of \['additive'"):
            deserialize({}, metadata)
    with pytest.raises(ValueError, match="a four_bit matrix lacks its 'scales'"):
        deserialize({"packed": torch.zeros(1)}, {"kind": "four_bit"})


def test_a_method_prepares_nothing_unless_it_says_so():
    class Halves(Method):
        pass

    assert Halves().prepare(None, None) is None and Halves.calibrated
    assert isinstance(GPTQ(), Method) and isinstance(four_bit(layer()[0]), Quantized)
    with pytest.raises(NotImplementedError):
        Halves().quantize(torch.ones(2, 2), None)
