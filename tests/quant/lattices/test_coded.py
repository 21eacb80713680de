"""QuIP# on a layer: the parts add up, and each of them buys what it should."""

import pytest
import torch

from lib.quant.hessian import Hessian
from lib.quant.lattices.coded import BlockLDLQ, quip_sharp
from lib.quant.lattices.codes import E8Code, ScalarCode
from lib.quant.rotations.incoherence import Incoherence

ROWS, COLS = 64, 96


@pytest.fixture
def layer(generator):
    """Weights with a few large ones, and correlated inputs."""
    mix = torch.randn(COLS, COLS, generator=generator)
    mix *= torch.logspace(-1, 1, COLS)[:, None]
    seen = Hessian(COLS)
    seen.add(torch.randn(400, COLS, generator=generator) @ mix)
    w = torch.randn(ROWS, COLS, generator=generator)
    w[3, 7] = 30.0
    return w, seen


def error(w, quantized, seen):
    delta = (w - quantized.dequantize()).double()
    return ((delta @ seen.matrix) * delta).sum().item()


def test_each_part_lowers_the_error(layer):
    whole = error(layer[0], quip_sharp(2).quantize(*layer), layer[1])
    for less in (
        Incoherence(BlockLDLQ(code=ScalarCode(2))),
        Incoherence(BlockLDLQ(feedback=False)),
        BlockLDLQ(),
    ):
        assert whole < error(layer[0], less.quantize(*layer), layer[1]), less


def test_more_bits_err_less(layer):
    errors = [
        error(layer[0], quip_sharp(bits).quantize(*layer), layer[1])
        for bits in (2, 3, 4)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_all_bits_are_counted(layer, bits):
    done = quip_sharp(bits).quantize(*layer)
    overhead = (32 + ROWS + COLS) / (ROWS * COLS)
    assert done.bits_per_weight == pytest.approx(bits + overhead)
    ordered = BlockLDLQ(code=E8Code(bits), act_order=True).quantize(*layer)
    assert ordered.bits_per_weight == pytest.approx(
        bits + (32 + 16 * COLS) / (ROWS * COLS)
    )


def test_the_best_stretch_is_taken_and_one_alone_is_that_one(layer):
    tries = (0.7, 1.0, 1.4)
    alone = [BlockLDLQ(stretches=(s,)).quantize(*layer) for s in tries]
    best = BlockLDLQ(stretches=tries).quantize(*layer)
    damped = layer[1].matrix + 0.01 * layer[1].matrix.diagonal().mean() * torch.eye(
        COLS
    )
    costs = []
    for one in alone:
        delta = (layer[0] - one.dequantize()).double()
        costs.append(((delta @ damped) * delta).sum().item())
    chosen = alone[costs.index(min(costs))]
    assert best.scale == chosen.scale and torch.equal(best.packed, chosen.packed)


@pytest.mark.parametrize("factor", [2.0**-20, 2.0**20])
def test_the_codes_do_not_depend_on_the_unit_of_the_weights(layer, factor):
    w, seen = layer
    plain, scaled = (quip_sharp().quantize(x, seen) for x in (w, factor * w))
    assert torch.equal(plain.inner.packed, scaled.inner.packed)
    torch.testing.assert_close(scaled.dequantize(), factor * plain.dequantize())


def test_a_matrix_of_zeros_stays_near_zero(layer):
    done = quip_sharp().quantize(torch.zeros(ROWS, COLS), layer[1])
    assert done.dequantize().abs().max() < 1e-30


def test_what_cannot_be_coded_is_refused(layer):
    with pytest.raises(ValueError, match="width=8 does not divide 20 columns"):
        quip_sharp().check(16, 20)
    for stretches in ((), (1.0, 0.0)):
        with pytest.raises(ValueError, match="stretches="):
            BlockLDLQ(stretches=stretches)
    with pytest.raises(ValueError, match="bits=5"):
        quip_sharp(5)
