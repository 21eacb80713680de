"""What was trained is what is packed; and nothing else learns."""

import copy

import pytest
import torch
from torch import nn

from lib.models.walk import linear_layers
from lib.quant.uniform.grouped import fit_groups, round_to_nearest
from lib.train.aware.activations import Rounded, round_activations
from lib.train.aware.imitate import imitate, logit_loss, parameter_groups
from lib.train.aware.layers import AwareLinear, GridLinear, Trained, make_aware, pack
from lib.train.loop import Recipe
from tests.conftest import llama_of

IDS = torch.arange(24).view(2, 12)
GROUP = 8
KINDS = [
    Trained(2, GROUP),
    Trained(3, GROUP, learned=False),
    Trained(1, GROUP),
    Trained("ternary"),
]


@pytest.fixture
def llama():
    return llama_of().eval()


def train(model, steps=3, **settings):
    recipe = Recipe(steps=steps, batch=2, lr=3e-3, clip=1.0)
    return imitate(model, IDS, recipe, **settings)


@pytest.mark.parametrize("settings", KINDS, ids=repr)
def test_the_packed_model_is_the_trained_one(settings, llama):
    teacher = copy.deepcopy(llama)
    before = {n: w.clone() for n, w in llama.state_dict().items()}
    aware = make_aware(llama, settings)
    assert len(aware) == 14
    train(llama, teacher=teacher)
    for name, w in llama.state_dict().items():
        moved = name not in before or not torch.equal(w, before[name])
        assert moved == (name.rsplit(".", 1)[0] in aware) or "zero" in name
    trained = {n: layer.rounded().detach() for n, layer in aware.items()}
    logits = llama(IDS).logits
    packed = pack(llama)
    gamma = settings.bits == "ternary"
    close = {"rtol": 2**-10, "atol": 0} if gamma else {"rtol": 0, "atol": 0}
    for name, layer in packed.items():
        torch.testing.assert_close(layer.weight_matrix(), trained[name], **close)
    if not gamma:
        assert torch.equal(llama(IDS).logits, logits)
    with pytest.raises(ValueError, match="no aware layer"):
        pack(llama)


def test_it_begins_as_rounding_to_nearest(llama):
    w = linear_layers(llama)["model.layers.0.mlp.up_proj"].weight
    settings = {"bits": 2, "group": GROUP, "candidates": 16}
    nearest = round_to_nearest(w, **settings).dequantize()
    layer = make_aware(llama, Trained(2, GROUP))["model.layers.0.mlp.up_proj"]
    assert torch.equal(layer.rounded(), nearest)
    grid = fit_groups(w, **settings)
    assert torch.equal(layer.grid()[0], grid.scale)


def test_grids_learn_faster_and_only_where_they_should(llama):
    other = copy.deepcopy(llama)
    make_aware(llama, Trained(2, GROUP), ["model.layers.1.mlp.down_proj"])
    weights, grids = parameter_groups(llama, 1e-3)
    assert len(weights["params"]) == 1 and len(grids["params"]) == 2
    assert grids["lr"] == 10 * weights["lr"]
    make_aware(other, Trained(2, GROUP, learned=False))
    (group,) = parameter_groups(other, 1e-3)
    assert len(group["params"]) == 14
    with pytest.raises(ValueError, match="nothing in the model learns"):
        parameter_groups(other.requires_grad_(False), 1e-3)


@pytest.mark.parametrize("learned", [True, False])
def test_training_brings_the_loss_down(learned, llama):
    teacher = copy.deepcopy(llama)
    make_aware(llama, Trained(2, GROUP, learned=learned))
    losses = train(llama, steps=30, teacher=teacher)
    assert losses[-1] < 0.7 * losses[0]
    assert train(llama, steps=2) != losses[:2], "labels are another loss"


def test_a_float_student_has_nothing_to_learn_from_itself(llama):
    teacher = copy.deepcopy(llama)
    llama.requires_grad_(True)
    ids = IDS[:1]
    loss = logit_loss(llama(ids).logits, teacher(ids).logits)
    loss.backward()
    assert abs(loss.item()) < 1e-6
    norms = [p.grad.norm().item() for p in llama.parameters() if p.grad is not None]
    assert max(norms) < 1e-5


def test_the_loss_is_a_mean_over_tokens_and_none_of_it_is_the_teachers(generator):
    s = torch.randn(2, 5, 7, generator=generator, requires_grad=True)
    t = torch.randn(2, 5, 7, generator=generator, requires_grad=True)
    loss = logit_loss(s, t)
    p, q = t.softmax(-1), s.softmax(-1)
    by_hand = (p * (p / q).log()).sum(-1).mean()
    torch.testing.assert_close(loss, by_hand)
    loss.backward()
    assert t.grad is None
    torch.testing.assert_close(s.grad, ((q - p) / 10).detach())


def test_activations_are_rounded_and_then_no_more(llama):
    whole = llama(IDS).logits
    with round_activations(llama, Rounded(inputs=4, cache=4)):
        coarse = llama(IDS).logits
    with round_activations(llama, Rounded(inputs=8, cache=None)):
        fine = llama(IDS).logits
    with round_activations(llama, Rounded(inputs=None, cache=3)):
        cache = llama(IDS).logits
    assert torch.equal(llama(IDS).logits, whole)
    errors = [(x - whole).norm() for x in (fine, coarse, cache)]
    assert 0 < errors[0] < errors[1] and errors[2] > 0


def test_hooks_outlive_a_training_and_the_packing(llama):
    teacher = copy.deepcopy(llama)
    with round_activations(llama, Rounded(inputs=4, cache=4)):
        make_aware(llama, Trained(2, GROUP))
        train(llama, teacher=teacher)
        trained = llama(IDS).logits
        pack(llama)
        assert torch.equal(llama(IDS).logits, trained)
    assert not torch.equal(llama(IDS).logits, trained)


def test_a_cache_is_what_goes_out_of_the_projections(llama):
    name = "model.layers.0.self_attn.k_proj"
    x = torch.randn(1, 3, 16, generator=torch.Generator().manual_seed(0))
    layer = llama.get_submodule(name)
    with round_activations(llama, Rounded(inputs=None, cache=2)):
        y = layer(x)
    largest = layer(x).abs().amax(-1, keepdim=True)
    assert set((y / largest).round(decimals=5).unique().tolist()) <= {-1, 0, 1}


def test_settings_that_are_none_are_refused(llama):
    for settings in ({"bits": "binary"}, {"bits": 9}, {"group": 0}):
        with pytest.raises(ValueError, match=r"binary|bits=9|group=0"):
            Trained(**settings)
    for settings in ({"inputs": 1}, {"cache": 16}):
        with pytest.raises(ValueError, match="is not in 2 to 8"):
            Rounded(**settings)
    with (
        pytest.raises(ValueError, match="no linear layer"),
        round_activations(nn.Sequential(nn.ReLU()), Rounded()),
    ):
        pass
    state = {n: w.clone() for n, w in llama.state_dict().items()}
    with pytest.raises(ValueError, match="group=7"):
        make_aware(llama, Trained(2, 7))
    assert llama.state_dict().keys() == state.keys()
    with pytest.raises(NotImplementedError):
        AwareLinear(nn.Linear(2, 2)).rounded()
    assert GridLinear(nn.Linear(8, 2), Trained(2, 8)).bias is not None
