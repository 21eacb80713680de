"""A run that was interrupted ends as one that was not; two processes are one."""

import socket
import warnings

import pytest
import torch
from torch import distributed as dist
from torch import multiprocessing as mp
from torch.nn.functional import cross_entropy

from lib.distill import student
from lib.distill.losses import next_tokens
from lib.distill.student import Schedule, batch_at, train
from tests.conftest import llama_of

WINDOWS = torch.randint(0, 40, (10, 12), generator=torch.Generator().manual_seed(1))
SCHEDULE = Schedule(8, batch=4, rate=1e-2, warmup=2)


def loss(model, ids):
    logits = model(input_ids=ids, use_cache=False).logits
    return cross_entropy(logits.flatten(0, 1), next_tokens(ids).flatten())


def fresh():
    return llama_of(attention_dropout=0.2).requires_grad_(True)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_an_interrupted_run_ends_as_one_that_was_not(tmp_path):
    whole, broken = fresh(), fresh()
    train(whole, loss, WINDOWS, SCHEDULE, folder=tmp_path / "whole", every=3)
    done = train(broken, loss, WINDOWS, SCHEDULE, folder=tmp_path / "a", seconds=0.0)
    assert done.step == 1, "no time: one step, and a checkpoint"
    torch.rand(7)  # what others draw in between is no matter
    anew = fresh()
    done = train(anew, loss, WINDOWS, SCHEDULE, folder=tmp_path / "a", every=3)
    assert done.step == 8 and torch.equal(weights(anew), weights(whole))
    assert not torch.equal(weights(anew), weights(broken))


def test_a_run_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(fresh_of := fresh(), loss, WINDOWS, SCHEDULE)
    assert not fresh_of.training
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), expected)


def test_another_schedule_does_not_go_on(tmp_path):
    train(fresh(), loss, WINDOWS, SCHEDULE, folder=tmp_path, seconds=0.0)
    other = Schedule(9, batch=4, rate=1e-2, warmup=2)
    with pytest.raises(ValueError, match=r"of Schedule\(steps=8.*not of .*steps=9"):
        train(fresh(), loss, WINDOWS, other, folder=tmp_path)


def test_every_epoch_takes_each_window_once():
    windows = torch.arange(12)[:, None]
    schedule = Schedule(100, batch=4)
    epochs = [
        torch.cat([batch_at(windows, schedule, 3 * e + k) for k in range(3)]).flatten()
        for e in range(3)
    ]
    assert all(torch.equal(e.sort().values, windows[:, 0]) for e in epochs)
    assert not torch.equal(epochs[0], epochs[1]), "each in its own order"
    with pytest.raises(ValueError, match="3 windows do not fill"):
        batch_at(windows[:3], schedule, 0)


def test_a_loss_that_is_not_finite_is_told():
    with pytest.raises(ValueError, match="the loss is nan"):
        train(fresh(), lambda m, x: loss(m, x) * torch.nan, WINDOWS, SCHEDULE)


def test_the_rate_rises_and_falls():
    rates = [SCHEDULE.rate_at(k) for k in range(8)]
    assert rates[0] == pytest.approx(5e-3) and max(rates) == rates[1]
    assert rates[1:] == sorted(rates[1:], reverse=True) and rates[-1] > 0


def one_of_two(rank, port, folder):
    store = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    torch.set_num_threads(1)
    model = llama_of().requires_grad_(True)
    loss(model, student._share(WINDOWS[:6])).backward()
    student._average(list(model.parameters()))
    gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
    model.zero_grad()
    done = train(model, loss, WINDOWS, SCHEDULE)
    late = fresh()  # one process has no time left: both stop, and neither waits
    seconds = 0.0 if rank else torch.inf
    cut = train(late, loss, WINDOWS, SCHEDULE, seconds=seconds)
    found = {"weights": weights(model), "gradient": gradient, "losses": done.losses}
    torch.save(found | {"steps": cut.step}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_are_one(tmp_path, unused_port):
    with warnings.catch_warnings():  # Python 3.12 warns of threads beside a fork
        warnings.simplefilter("ignore")
        mp.start_processes(
            one_of_two, (unused_port, str(tmp_path)), nprocs=2, start_method="fork"
        )
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    alone = llama_of().requires_grad_(True)
    loss(alone, WINDOWS[:6]).backward()
    whole = torch.cat([p.grad.flatten() for p in alone.parameters()])
    for one in (first, second):
        assert (one["gradient"] - whole).norm() <= 1e-5 * whole.norm()
    alone.zero_grad()
    losses = train(alone, loss, WINDOWS, SCHEDULE).losses
    assert first["losses"] == second["losses"] == pytest.approx(losses, rel=1e-3)
    assert torch.equal(first["weights"], second["weights"])
    moved = (weights(alone) - weights(llama_of())).abs().max()
    apart = (first["weights"] - weights(alone)).abs().max()
    assert apart < 0.05 * moved  # Adam and an order
    assert first["steps"] == second["steps"] == 1


@pytest.fixture
def unused_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
