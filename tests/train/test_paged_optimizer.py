"""PagedAdamW is torch's AdamW, bit for bit, wherever its moments lie."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lib.train.paged_optimizer import PagedAdamW

SHAPES = (7, 11), (130,), (33, 3), (1,)


def parameters(seed):
    draw = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=draw)) for shape in SHAPES]


def give(groups, draw):
    for together in zip(*groups, strict=True):
        g = torch.randn(together[0].shape, generator=draw)
        g *= 10.0 ** torch.randint(-6, 3, (1,), generator=draw)
        for parameter in together:
            parameter.grad = g.clone()


def same(ours, theirs, mine, plain):
    assert all(torch.equal(p, q) for p, q in zip(ours, theirs, strict=True))
    moments = mine.moments()
    for p, q in zip(ours, theirs, strict=True):
        assert torch.equal(moments[p][0], plain.state[q]["exp_avg"])
        assert torch.equal(moments[p][1], plain.state[q]["exp_avg_sq"])


@settings(max_examples=12)
@given(
    page=st.sampled_from([8, 24, 64, 1000, 2**16]),
    room=st.integers(1, 40),
    decay=st.sampled_from([0.0, 0.1]),
    betas=st.sampled_from([(0.9, 0.999), (0.0, 0.5)]),
    seed=st.integers(0, 99),
)
def test_parameters_and_moments_have_torchs_bits(page, room, decay, betas, seed):
    ours, theirs = parameters(seed), parameters(seed)
    how = {"lr": 1e-2, "betas": betas, "weight_decay": decay}
    mine = PagedAdamW(ours, page=page, capacity=room * page, **how)
    plain = torch.optim.AdamW(theirs, foreach=False, **how)
    draw = torch.Generator().manual_seed(seed)
    for step in range(5):
        give([ours, theirs], draw)
        if step == 3:  # a batch that needs all the memory
            with mine.pages.yielding(mine.pages.capacity):
                assert mine.pages.resident == 0
        mine.step()
        plain.step()
        assert mine.pages.resident <= room * page
    same(ours, theirs, mine, plain)


def test_groups_and_schedulers_work_as_torchs():
    ours, theirs = parameters(0), parameters(0)

    def groups(ps):
        return [{"params": ps[:1], "lr": 1e-1}, {"params": ps[1:], "weight_decay": 0.5}]

    mine = PagedAdamW(groups(ours), 1e-3, page=64, capacity=128)
    plain = torch.optim.AdamW(groups(theirs), 1e-3, foreach=False)
    rates = [torch.optim.lr_scheduler.ExponentialLR(o, 0.5) for o in (mine, plain)]
    draw = torch.Generator().manual_seed(1)
    for _ in range(4):
        give([ours, theirs], draw)
        mine.step()
        plain.step()
        for rate in rates:
            rate.step()
    same(ours, theirs, mine, plain)


def test_a_state_goes_to_torchs_adamw_and_back():
    ours, theirs = parameters(0), parameters(0)
    mine = PagedAdamW(ours, 1e-2, page=64, capacity=64)
    draw = torch.Generator().manual_seed(1)
    for _ in range(3):
        give([ours], draw)
        mine.step()
    for p, q in zip(ours, theirs, strict=True):
        q.data.copy_(p.data)
    plain = torch.optim.AdamW(theirs, 1e-2, foreach=False)
    plain.load_state_dict(
        copy.deepcopy(mine.state_dict())
        | {"param_groups": plain.state_dict()["param_groups"]}
    )
    third = parameters(0)
    for p, q in zip(ours, third, strict=True):
        q.data.copy_(p.data)
    back = PagedAdamW(third, 1e-2, page=24, capacity=240)
    back.load_state_dict(
        plain.state_dict() | {"param_groups": back.state_dict()["param_groups"]}
    )
    for _ in range(3):
        give([ours, theirs, third], draw)
        for optimizer in (mine, plain, back):
            optimizer.step()
    same(ours, theirs, mine, plain)
    same(third, theirs, back, plain)


def test_sweeps_to_and_fro_move_only_what_does_not_fit():
    ours = [nn.Parameter(torch.zeros(80))]
    mine = PagedAdamW(ours, page=64, capacity=7 * 64)  # 10 pages, room for 7
    draw, moved = torch.Generator().manual_seed(1), []
    for _ in range(4):
        give([ours], draw)
        mine.step()
        moved.append((mine.pages.moved("in") // 64, mine.pages.moved("out") // 64))
    assert moved == [(10, 3), (13, 6), (16, 9), (19, 12)]


def test_what_it_cannot_do_is_refused(as_a_user):
    with pytest.raises(ValueError, match="float64"):
        PagedAdamW([nn.Parameter(torch.zeros(2, dtype=torch.float64))])
    with pytest.raises(ValueError, match="hold no m and v"):
        PagedAdamW(parameters(0), page=7)
    for wrong in ({"lr": -1.0}, {"eps": -1.0}, {"betas": (0.9, 1.0)}):
        with pytest.raises(ValueError, match="out of range"):
            PagedAdamW(parameters(0), **wrong)
    with pytest.raises(ValueError, match="1 parameters are not contiguous"):
        PagedAdamW([nn.Parameter(torch.zeros(3, 2).T)])
    mine = PagedAdamW(parameters(0))
    with pytest.raises(ValueError, match="1 pages have no room for a group"):
        mine.add_param_group({"params": parameters(1)})  # else they would never move
    with pytest.raises(ValueError, match="4 parameters have no gradient"):
        mine.step()
    other = PagedAdamW(parameters(0)[:2])
    for p in other.param_groups[0]["params"]:
        p.grad = torch.ones_like(p)
    other.step()
    with pytest.raises(ValueError, match="2 of 4 parameters"):
        mine.load_state_dict(other.state_dict())
