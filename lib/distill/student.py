"""One training loop for every student: AdamW, warm-up, cosine, and a way to go on.

    step k:  windows drawn by (seed, k) → loss → gradient, clipped → AdamW at rate η_k
    η_k = η · min(1, (k + 1) / warm-up) · ½ (1 + cos(π k / steps))

What a step draws, its windows and its dropout, is made from the seed and the number of
the step. So a run that was interrupted goes on from its last checkpoint, and ends with
the same weights, bit for bit on one device, as one that was not.

With torchrun each process takes its share of every batch, and gradients and losses are
averaged: the same as one process up to the order of a sum, where all windows count
alike. Dropout is drawn for each process by itself, so that it is the same in the mean.

Read in order: `Schedule`, `batch_at`, `train`, `Progress`.
Source: Loshchilov & Hutter 2019, arXiv:1711.05101.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch import distributed as dist

from lib.progress import progress

Loss = Callable[[nn.Module, Tensor], Tensor]  # (student, windows) → what is minimised
Look = Callable[[nn.Module], dict[str, float]]  # numbers about a student


@dataclass(frozen=True)
class Schedule:
    """How long, how large and how fast; ValueError for sizes that are none."""

    steps: int
    batch: int = 32
    rate: float = 1e-3
    warmup: int = 100
    decay: float = 0.1
    clip: float = 1.0
    seed: int = 0
    betas: tuple[float, float] = (0.9, 0.95)

    def __post_init__(self) -> None:
        """Refuse no steps, no windows, no rate."""
        if min(self.steps, self.batch, self.warmup) < 1:
            raise ValueError(f"{self.steps=}, {self.batch=}, {self.warmup=}")
        if not (self.rate > 0 and self.clip > 0 and self.decay >= 0):
            raise ValueError(f"{self.rate=}, {self.clip=}, {self.decay=}")

    def rate_at(self, step: int) -> float:
        """η_k."""
        falling = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.rate * min(1.0, (step + 1) / self.warmup) * falling


@dataclass
class Progress:
    """How far a run came, and what was seen on the way."""

    step: int = 0
    losses: list[float] = field(default_factory=list)  # a mean for each look
    looks: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


def batch_at(
    windows: Int[Tensor, "n window"], schedule: Schedule, step: int
) -> Int[Tensor, "batch window"]:
    """The windows of a step: an epoch takes all of them once, in an order of its own.

    What does not fill a batch at an epoch's end is left out of that epoch. ValueError
    for fewer windows than a batch.
    """
    each = len(windows) // schedule.batch  # steps an epoch
    if each == 0:
        raise ValueError(f"{len(windows)} windows do not fill {schedule.batch=}")
    epoch, place = divmod(step, each)
    draw = torch.Generator().manual_seed(schedule.seed * 1_000_003 + epoch)
    order = torch.randperm(len(windows), generator=draw)
    chosen = order[place * schedule.batch : (place + 1) * schedule.batch]
    return windows[chosen.to(windows.device)]


def train(
    student: nn.Module,
    loss: Loss,
    windows: Int[Tensor, "n window"],
    schedule: Schedule,
    *,
    folder: Path | None = None,
    seconds: float = math.inf,
    every: int = 200,
    look: Look | None = None,
) -> Progress:
    """Train `student` in place until its steps are done, or `seconds` are over.

    Every `every` steps it is looked at, and kept in `folder`; with a folder of the same
    schedule it goes on from there. ValueError for a loss that is not finite, a folder
    of another schedule, and as `batch_at`.
    """
    parameters = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ],
        betas=schedule.betas,
        weight_decay=schedule.decay,
    )
    state = _resume(folder, schedule, student, optimizer)
    began, before, running = time.monotonic(), state.seconds, []
    device = parameters[0].device
    student.train()
    for step in progress(range(state.step, schedule.steps), "training"):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step)
        with _randomness(schedule.seed, step, device):
            own = _share(batch_at(windows, schedule, step)).to(device)
            value = loss(student, own)
            value.backward()
        _average(parameters)
        nn.utils.clip_grad_norm_(parameters, schedule.clip)
        optimizer.step()
        optimizer.zero_grad()
        running.append(value.detach())
        state.step = step + 1
        late = _anywhere(time.monotonic() - began > seconds, device)
        if state.step % every == 0 or state.step == schedule.steps or late:
            state.seconds = before + time.monotonic() - began
            state.losses.append(float(_mean(torch.stack(running).mean())))
            if not math.isfinite(state.losses[-1]):
                raise ValueError(f"the loss is {state.losses[-1]} at {state.step=}")
            running.clear()
            student.eval()
            seen = look(student) if look else {}
            state.looks.append({"step": float(state.step)} | seen)
            student.train()
            _keep(folder, schedule, student, optimizer, state)
            if late:
                break
    student.eval()
    return state


class _randomness:  # noqa: N801 (a context, used as a word)
    """Dropout and draws of one step, made from the seed; the caller's are untouched."""

    def __init__(self, seed: int, step: int, device: torch.device) -> None:
        devices = [device] if device.type == "cuda" else []
        self.fork = torch.random.fork_rng(devices)
        self.seed = (_processes()[0] << 40) + seed * 1_000_003 + step

    def __enter__(self) -> None:
        self.fork.__enter__()
        torch.manual_seed(self.seed)

    def __exit__(self, *problem) -> None:
        self.fork.__exit__(*problem)


def _processes() -> tuple[int, int]:
    """This process and how many there are."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def _share(batch: Tensor) -> Tensor:
    """This process's windows of a batch."""
    rank, world = _processes()
    if len(batch) % world:
        raise ValueError(f"{world} processes do not share {len(batch)} windows evenly")
    return batch[rank::world]


def _mean(x: Tensor) -> Tensor:
    """The mean over all processes, in place."""
    if (world := _processes()[1]) > 1:
        dist.all_reduce(x)
        x /= world
    return x


def _average(parameters: list[nn.Parameter]) -> None:
    """The mean gradient of all processes."""
    for p in parameters:
        if p.grad is not None:
            _mean(p.grad)


def _anywhere(is_so: bool, device: torch.device) -> bool:
    """Whether it is so in any process: all of them stop at one step, or none."""
    return bool(_mean(torch.tensor(float(is_so), device=device)) > 0)


def _trained(student: nn.Module) -> dict[str, Tensor]:
    """What training changes: a frozen head needs no checkpoint."""
    named: Iterator[tuple[str, nn.Parameter]] = student.named_parameters()
    return {name: p for name, p in named if p.requires_grad}


def _keep(
    folder: Path | None,
    schedule: Schedule,
    student: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: Progress,
) -> None:
    """Write a checkpoint to a draft, then rename it."""
    if folder is None or _processes()[0]:
        return
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{os.getpid()}.draft"
    content = {
        "schedule": str(schedule),
        "student": {name: p.detach() for name, p in _trained(student).items()},
        "optimizer": optimizer.state_dict(),
        "progress": vars(state),
    }
    torch.save(content, draft)
    draft.replace(folder / "checkpoint.pt")


def _resume(
    folder: Path | None,
    schedule: Schedule,
    student: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> Progress:
    """Take up the folder's checkpoint, if it has one."""
    path = folder / "checkpoint.pt" if folder else None
    if path is None or not path.is_file():
        return Progress()
    kept = torch.load(path, map_location="cpu", weights_only=True)
    if kept["schedule"] != str(schedule):
        raise ValueError(f"{path.name} is of {kept['schedule']}, not of {schedule}")
    with torch.no_grad():
        for name, p in _trained(student).items():
            p.copy_(kept["student"][name])
    optimizer.load_state_dict(kept["optimizer"])
    return Progress(**kept["progress"])
