"""LoRA: its gradients by hand are autograd's, and an untrained adapter is nothing."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lib.train.lora import LoRA, LoRALinear, initial, low_rank, low_rank_gradients
from lib.train.qlora import (
    adapter_parameters,
    adapters,
    add_adapters,
    without_adapters,
)

IDS = torch.arange(24).view(2, 12)


def layer(generator, *, outputs=5, inputs=7, rank=3, bias=True, **settings):
    base = nn.Linear(inputs, outputs, bias=bias)
    A, B = initial(inputs, outputs, rank, generator)
    return LoRALinear(base, A, B, LoRA(rank=rank, **settings))


def stir(model, generator, size=0.1):
    """Adapters that have learned something."""
    for parameter in adapter_parameters(model).values():
        parameter.data = size * torch.randn(parameter.shape, generator=generator)


@settings(max_examples=30)
@given(
    sizes=st.tuples(*[st.integers(1, 9)] * 4),
    scale=st.floats(0.1, 8),
    seed=st.integers(0, 99),
)
def test_gradients_by_hand_are_autograds(sizes, scale, seed):
    tokens, inputs, outputs, rank = sizes
    draw = torch.Generator().manual_seed(seed)
    shapes = (2, tokens, inputs), (rank, inputs), (outputs, rank)
    x, A, B = (torch.randn(s, generator=draw, dtype=torch.float64) for s in shapes)
    leaves = [t.requires_grad_() for t in (x, A, B)]
    g = torch.randn(2, tokens, outputs, generator=draw, dtype=torch.float64)
    low_rank(x, A, B, scale).backward(g)
    ours = low_rank_gradients(*(t.detach() for t in leaves), scale, g)
    for mine, leaf in zip(ours, leaves, strict=True):
        torch.testing.assert_close(mine, leaf.grad)
    plain = [t.detach() for t in leaves]
    there = torch.randn(x.shape, generator=draw, dtype=torch.float64)
    onto = low_rank_gradients(*plain, scale, g, onto=there.clone())[0]
    torch.testing.assert_close(onto - there, ours[0])


def test_the_product_is_the_update_times_x(generator):
    adapted = layer(generator, alpha=12.0)
    adapted.lora_B.data.normal_(generator=generator)
    x = torch.randn(4, 7, generator=generator)
    whole = nn.functional.linear(x, adapted.base.weight + adapted.update)
    torch.testing.assert_close(adapted(x) - adapted.base.bias, whole)


def test_an_untrained_adapter_changes_no_bit_and_its_first_gradient_is_bs(generator):
    adapted = layer(generator)
    x = torch.randn(4, 7, generator=generator)
    assert torch.equal(adapted(x), adapted.base(x))
    adapted(x).square().sum().backward()
    assert not adapted.lora_A.grad.count_nonzero(), "B = 0 is a factor of ∂L/∂A"
    assert adapted.lora_B.grad.count_nonzero()
    assert adapted.base.weight.grad is None


@pytest.mark.parametrize("rank", [1, 4, 64])
def test_the_scale_is_alpha_over_rank_or_its_root(rank):
    assert LoRA(rank=rank, alpha=32).scale == 32 / rank
    stable = LoRA(rank=rank, alpha=32, rank_stabilized=True)
    assert stable.scale == pytest.approx(32 / math.sqrt(rank))


def test_rank_stabilized_updates_keep_their_size_as_the_rank_grows(generator):
    def size(rank, stable):
        A, B = (torch.randn(s, generator=generator) for s in ((rank, 64), (64, rank)))
        scale = LoRA(rank=rank, rank_stabilized=stable).scale
        return (scale * B @ A).std().item()

    assert size(256, True) / size(4, True) == pytest.approx(1, rel=0.15)
    assert size(256, False) / size(4, False) == pytest.approx(1 / 8, rel=0.15)


def test_dropout_is_on_the_adapters_path_only(generator):
    adapted = layer(generator, dropout=0.5).train()
    x = torch.randn(3, 7, generator=generator)
    assert torch.equal(adapted(x), adapted.base(x)), "W sees all of x"
    adapted.lora_B.data.normal_(generator=generator)
    expected, whole = adapted.eval()(x), adapted.base(x)
    torch.manual_seed(0)
    many = torch.stack([adapted.train()(x) for _ in range(4000)])
    assert (many[0] - many[1]).abs().max() > 0
    spread = many.std(0) / math.sqrt(len(many))
    assert ((many.mean(0) - expected).abs() <= 5 * spread).all(), "unbiased"
    assert (expected - whole).abs().max() > 0


def test_a_is_uniform_within_one_over_the_root_of_its_inputs():
    A, B = initial(400, 30, 50, torch.Generator().manual_seed(1))
    assert 0.95 / 20 < A.abs().max() <= 1 / 20 and not B.count_nonzero()
    assert A.std().item() == pytest.approx(1 / 20 / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize(
    ("targets", "count"),
    [
        (("q_proj",), 2),
        (("q_proj", "v_proj"), 4),
        (("mlp.up_proj",), 2),
        (("0.mlp.up_proj",), 1),
        (LoRA().targets, 14),
    ],
)
def test_layers_are_named_by_the_end_of_their_names(small_llama, targets, count):
    model = small_llama()
    before = model(IDS).logits
    add_adapters(model, LoRA(rank=2, targets=targets))
    assert len(adapters(model)) == count
    assert torch.equal(model(IDS).logits, before)
    assert "lm_head" not in adapters(model)
    learned = [n for n, p in model.named_parameters() if p.requires_grad]
    assert len(learned) == 2 * count and all("lora_" in name for name in learned)


def test_without_adapters_the_base_answers_bit_for_bit(small_llama, generator):
    model = small_llama()
    before = model(IDS).logits
    add_adapters(model, LoRA(rank=2))
    stir(model, generator)
    adapted = model(IDS).logits
    assert not torch.equal(adapted, before)
    with without_adapters(model):
        assert torch.equal(model(IDS).logits, before)
    assert torch.equal(model(IDS).logits, adapted)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rank": 0},
        {"alpha": 0.0},
        {"alpha": math.inf},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"targets": ()},
        {"targets": "q_proj"},
    ],
)
def test_what_is_no_adapter_is_refused(wrong, as_a_user):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LoRA(**wrong)


def test_unknown_targets_and_a_second_set_of_adapters_are_refused(small_llama):
    model = small_llama()
    with pytest.raises(ValueError, match="'query'"):
        add_adapters(model, LoRA(targets=("q_proj", "query")))
    assert not adapters(model)
    add_adapters(model, LoRA(targets=("q_proj",)))
    with pytest.raises(ValueError, match="2 adapters already"):
        add_adapters(model, LoRA())
