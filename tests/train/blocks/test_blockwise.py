"""A tuned block is never worse, is what its file holds, and leaves its codes alone."""

import copy

import pytest
import torch

from lib.layers.packed import PackedLinear
from lib.models.packed_file import load_quantized, save_quantized
from lib.models.quantize import quantize_model
from lib.quant.additive.aqlm import AQLM, aqlm
from lib.quant.lattices.coded import quip_sharp
from lib.quant.rotations.incoherence import Incoherence
from lib.quant.serialize import deserialize
from lib.quant.solvers.gptq import GPTQ
from lib.quant.solvers.trellis_ldlq import TrellisLDLQ
from lib.train.blocks import blockwise
from lib.train.blocks.blockwise import BlockRecipe, tune_blocks
from lib.train.blocks.codes import moved
from lib.train.blocks.tuned import packed_again, tunable

METHODS = [
    GPTQ(2, 16),
    quip_sharp(2),
    Incoherence(TrellisLDLQ(5, 2)),
    AQLM(2, 3, rounds=1),
]
RECIPE = BlockRecipe(steps=12, batch=2, lr=5e-3)


@pytest.fixture(scope="module")
def windows():
    return torch.randint(40, (6, 24), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def teacher(small_llama):
    """Whose sides are multiples of 16, as a trellis's tiles ask for."""
    return small_llama(hidden_size=32, intermediate_size=48)


def packed_layers(model):
    return {n: m for n, m in model.named_modules() if isinstance(m, PackedLinear)}


def codes_of(model):
    """What is no floating-point number, of each packed layer; signs left aside."""
    return {
        f"{n}.{k}": t.clone()
        for n, layer in packed_layers(model).items()
        for k, t in layer.tensors().items()
        if "codes" in k or k.endswith(("packed", "zero"))
    }


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_no_block_gets_worse_and_only_constants_change(
    method, teacher, windows, tmp_path, small_llama
):
    student = copy.deepcopy(teacher)
    quantize_model(student, method, windows)
    before, norms = codes_of(student), student.model.layers[0].input_layernorm.weight
    whole = copy.deepcopy(student)
    losses = tune_blocks(student, teacher, windows, RECIPE)
    assert all(last <= first for first, last in losses), losses
    assert losses[0][1] < losses[0][0], "training changed nothing"
    after = codes_of(student)
    assert before.keys() == after.keys() and before
    assert all(torch.equal(before[n], after[n]) for n in before)
    assert torch.equal(norms, torch.ones(32)), "an old parameter was written to"
    assert not any(p.requires_grad for p in student.parameters())
    assert not torch.equal(student(windows).logits, whole(windows).logits)

    save_quantized(student, tmp_path / "tuned.safetensors", dtype=torch.float32)
    again = small_llama(hidden_size=32, intermediate_size=48)
    load_quantized(again, tmp_path / "tuned.safetensors")
    torch.testing.assert_close(again(windows).logits, student(windows).logits)


def test_signs_that_learned_are_counted_as_fp16(teacher, windows):
    quantize_model(teacher, quip_sharp(2), windows)
    block = teacher.model.layers[0]
    layer = block.mlp.up_proj
    plain = deserialize(layer.tensors(), layer.metadata).bits_per_weight
    for tuned in tunable(block).values():
        tuned.constants["left"].data *= 1.01
        tuned.constants["right"].data *= 1.01
    packed_again(block)
    layer = block.mlp.up_proj
    fine = deserialize(layer.tensors(), layer.metadata).bits_per_weight
    assert fine - plain == pytest.approx(15 * (32 + 48) / (32 * 48))


def test_codes_move_too_and_the_loss_still_never_rises(teacher, windows):
    student = copy.deepcopy(teacher)
    quantize_model(student, AQLM(2, 3, rounds=1), windows)
    before = codes_of(student)
    recipe = BlockRecipe(steps=8, batch=2, lr=5e-3, code_steps=3)
    losses = tune_blocks(student, teacher, windows, recipe)
    after = codes_of(student)
    assert all(last <= first for first, last in losses), losses
    assert any(not torch.equal(before[n], after[n]) for n in before)


def test_a_step_of_the_codes_moves_a_share_of_groups_along_the_gradient(generator):
    w = torch.randn(16, 32, generator=generator)
    matrix = aqlm(w, torch.eye(32), AQLM(2, 4, rounds=1))
    slope = torch.randn(16, 32, generator=generator)
    after = moved(matrix, slope, share=0.25)
    changed = (after.codes != matrix.codes).any(-1)
    assert 0 < changed.sum() <= 0.25 * changed.numel()
    step = after.dequantize() - matrix.dequantize()
    assert (step * slope).sum() < 0, "it went up the slope"
    largest = slope.view(16, 4, 8) * matrix.scale.float()[:, None, None]
    size = largest.square().sum(-1)
    assert size[changed].min() >= size.flatten().sort().values[-16]


def test_a_block_that_got_worse_is_put_back(teacher, windows, monkeypatch):
    student = copy.deepcopy(teacher)
    quantize_model(student, GPTQ(2, 16), windows)
    modules = list(student.modules())
    parameters = list(student.parameters())

    def ruin(call, layers, x, wanted, recipe):
        for parameter in call.block.parameters():
            parameter.data.mul_(5.0)

    monkeypatch.setattr(blockwise, "_train", ruin)
    losses = tune_blocks(student, teacher, windows, RECIPE)
    assert all(first == last for first, last in losses)
    assert [id(m) for m in student.modules()] == [id(m) for m in modules]
    assert all(
        mine is old for mine, old in zip(student.parameters(), parameters, strict=True)
    )


def test_what_cannot_be_tuned_is_refused(teacher, windows, small_llama):
    with pytest.raises(ValueError, match="0 packed layers"):
        tune_blocks(copy.deepcopy(teacher), teacher, windows)
    with pytest.raises(ValueError, match="1 blocks cannot imitate 2"):
        tune_blocks(small_llama(num_hidden_layers=1), teacher, windows)
    with pytest.raises(ValueError, match="has no `layers`"):
        tune_blocks(torch.nn.Linear(2, 2), teacher, windows)
    with pytest.raises(ValueError, match="steps=0"):
        BlockRecipe(steps=0)
