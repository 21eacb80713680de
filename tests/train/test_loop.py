"""The loop: resumed equals never killed, checkpointing changes no bit."""

import pytest
import torch

from lib.quant.codebooks.normal_float import NormalFloat
from lib.train.graph import RecordedPasses
from lib.train.loop import FILE, Recipe, fine_tune, next_token_loss
from lib.train.lora import LoRA
from lib.train.memory import SavedBytes
from lib.train.paged_optimizer import PagedAdamW
from lib.train.qlora import adapter_parameters, add_adapters, quantize_base

WINDOWS = torch.arange(40).repeat(3)[: 7 * 16].view(7, 16)
RECIPE = Recipe(steps=6, batch=2, lr=1e-2, warmup=2, clip=1.0)


class Killed(BaseException):
    """What no `except Exception` catches, as a signal would be."""


def model(small_llama, *, dropout=0.1, alpha=16):
    one = small_llama(hidden_size=32, intermediate_size=64)
    quantize_base(one)
    add_adapters(one, LoRA(rank=2, alpha=alpha, dropout=dropout), seed=1)
    return one


def learned(one):
    return {n: p.detach().clone() for n, p in adapter_parameters(one).items()}


def equal(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[k], other[k]) for k in one
    )


@pytest.mark.parametrize("at", [1, 4])
def test_a_run_that_was_killed_ends_as_one_that_was_not(small_llama, tmp_path, at):
    whole = model(small_llama)
    losses = fine_tune(whole, WINDOWS, RECIPE)

    def kill(step, loss):
        if step == at:
            raise Killed

    with pytest.raises(Killed):
        fine_tune(model(small_llama), WINDOWS, RECIPE, folder=tmp_path, after=kill)
    (tmp_path / "fine_tune.1.draft").write_bytes(b"half a file")
    torch.rand(5)  # another process has drawn other numbers
    again, seen = model(small_llama), []
    optimizer = PagedAdamW(
        adapter_parameters(again).values(), weight_decay=0.0, page=256, capacity=512
    )
    resumed = fine_tune(
        again,
        WINDOWS,
        RECIPE,
        optimizer=optimizer,
        folder=tmp_path,
        after=lambda step, loss: seen.append(step),
    )
    assert resumed == losses and seen == list(range(at + 1, 7))
    assert equal(learned(again), learned(whole))
    assert optimizer.pages.moves, "and its pages moved"


def test_the_loss_falls_and_the_model_is_as_it_was(small_llama):
    one = model(small_llama)
    one.get_submodule("model.layers.1").train()
    modes = [module.training for module in one.modules()]
    state = torch.random.get_rng_state()
    losses = fine_tune(one, WINDOWS, Recipe(steps=30, batch=3, lr=1e-2, clip=1.0))
    assert losses[-1] < losses[0] - 0.2
    assert [module.training for module in one.modules()] == modes
    assert torch.equal(torch.random.get_rng_state(), state)


def test_checkpointing_changes_no_bit_and_keeps_less(small_llama):
    plain, checked = model(small_llama), model(small_llama)
    fine_tune(plain, WINDOWS, RECIPE)
    fine_tune(checked, WINDOWS, Recipe(**vars(RECIPE) | {"checkpointing": True}))
    assert equal(learned(plain), learned(checked))
    assert not checked.model.layers[0].gradient_checkpointing
    kept = {}
    for one in (plain, checked):
        one.train()
        if one is checked:
            one.gradient_checkpointing_enable({"use_reentrant": False})
        with SavedBytes(one) as saved:
            next_token_loss(one, WINDOWS[:2])
        kept[one is checked] = saved.bytes
    assert kept[True] < 0.4 * kept[False]


def test_recorded_passes_change_no_bit_and_draw_nothing(small_llama):
    recipe = Recipe(**vars(RECIPE) | {"checkpointing": True})
    plain, recorded = model(small_llama, dropout=0), model(small_llama, dropout=0)
    losses = fine_tune(plain, WINDOWS, recipe)
    assert fine_tune(recorded, WINDOWS, recipe, recorded=True) == losses
    assert equal(learned(plain), learned(recorded))
    with pytest.raises(ValueError, match=r"repeats its draws: dropout=0\.1"):
        fine_tune(model(small_llama), WINDOWS, RECIPE, recorded=True)
    passes = RecordedPasses(lambda ids: torch.zeros(()), [], WINDOWS[:2])
    with pytest.raises(ValueError, match=r"\(3, 16\), where \(2, 16\) was recorded"):
        passes(WINDOWS[:3])


def test_every_window_is_drawn_once_a_turn_and_a_seed_draws_its_own():
    recipe = Recipe(steps=7, batch=3)
    drawn = [i for step in range(1, 8) for i in recipe.draw(step, 7)]
    turns = [sorted(drawn[i : i + 7]) for i in (0, 7, 14)]
    assert turns == [list(range(7))] * 3
    assert drawn[:7] != drawn[7:14]
    other = Recipe(steps=7, batch=3, seed=1)
    assert [i for step in range(1, 8) for i in other.draw(step, 7)] != drawn


def test_the_rate_rises_and_stays():
    rates = [Recipe(steps=6, lr=0.3, warmup=3).rate(step) for step in range(1, 7)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.3, 0.3])
    assert Recipe(steps=6, lr=0.3).rate(1) == 0.3


@pytest.mark.parametrize("fails", ["forward", "backward"])
def test_where_memory_runs_out_the_pages_go_home_and_the_step_is_tried_again(
    small_llama, fails
):
    plain, tight = model(small_llama), model(small_llama)
    losses = fine_tune(plain, WINDOWS, RECIPE)
    optimizer = PagedAdamW(adapter_parameters(tight).values(), weight_decay=0.0)
    resident = []

    def hungry(module, *args):
        """The allocator of a device on which page and activations do not both fit."""
        if optimizer.steps == 3:
            resident.append(optimizer.pages.resident)
            if optimizer.pages.resident:
                raise torch.OutOfMemoryError("a spike")

    if fails == "forward":
        tight.model.layers[1].mlp.register_forward_pre_hook(hungry)
    else:
        tight.model.layers[1].mlp.register_full_backward_hook(hungry)
    assert fine_tune(tight, WINDOWS, RECIPE, optimizer=optimizer) == losses
    assert equal(learned(tight), learned(plain))
    assert resident[0] > 0 and resident[-1] == 0
    assert {move.way for move in optimizer.pages.moves} == {"in", "out"}


def test_what_is_no_run_is_refused(small_llama, tmp_path):
    with pytest.raises(ValueError, match="no layer of the model has an adapter"):
        fine_tune(small_llama(), WINDOWS, RECIPE)
    for wrong in (
        {"steps": 0},
        {"batch": 0},
        {"warmup": 9},
        {"lr": 0.0},
        {"clip": 0.0},
    ):
        with pytest.raises(ValueError, match="out of range"):
            Recipe(**{"steps": 6} | wrong)
    one = model(small_llama)
    fine_tune(one, WINDOWS, RECIPE, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    other = Recipe(**vars(RECIPE) | {"lr": 0.5})
    for windows, recipe in ((WINDOWS, other), (WINDOWS + 1 - 1, other)):
        with pytest.raises(ValueError, match="was made by"):
            fine_tune(model(small_llama), windows, recipe, folder=tmp_path)
    with pytest.raises(ValueError, match="was made by"):
        fine_tune(model(small_llama), WINDOWS.flip(0), RECIPE, folder=tmp_path)
    float4 = small_llama(hidden_size=32, intermediate_size=64)
    quantize_base(float4, NormalFloat("fp4"))
    add_adapters(float4, LoRA(rank=2, dropout=0.1), seed=1)
    for other in (model(small_llama, alpha=3), model(small_llama, dropout=0), float4):
        with pytest.raises(ValueError, match="was made by"):
            fine_tune(other, WINDOWS, RECIPE, folder=tmp_path)
    broken = model(small_llama)
    broken.model.norm.weight.data.fill_(torch.nan)
    with pytest.raises(ValueError, match="step 1: the loss is nan"):
        fine_tune(broken, WINDOWS, RECIPE)
