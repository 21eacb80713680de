"""Block-wise fine-tuning: each block learns to put out what the float block puts out.

    minimize over θ_b   mean over tokens of ‖f_b(x̂; θ_b) − f_b(x)‖² / ‖f_b(x)‖²

x is what enters block b of the float model, x̂ what enters it behind the quantized and
tuned blocks 1 … b − 1: so a block also repairs what the earlier ones did, as far as it
can. θ_b are the constants of its packed layers and its norms (tuned.py); the codes
stay, or move by PV-Tuning's steps (codes.py). Only one block is trained at a time, on
hidden states that are kept, so it needs a block's memory, not a model's.

Each token counts by its relative error. One position of the hidden states is a thousand
times larger than the rest in many models, and would be all that a plain mean sees.

Adam's step is a share of each tensor's rms: codebooks are about 1, scales 0.01.

Guarantee: on the calibration windows no block's loss is larger than before; a block
that got worse is put back as it was.

This lies above lib.models, for it walks a model's blocks; the mathematics that it needs
of tensors alone is in lib/quant/additive/pv.py.

Read in order: `BlockRecipe`, `tune_blocks`, `_Block`.
Sources: AQLM, arXiv:2401.06118, section 3.2; QuIP#, arXiv:2402.04396, section 5.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lib.models.hooks import Arrival, before
from lib.models.sequential import restored_on_failure
from lib.progress import progress
from lib.train.blocks.codes import move_codes
from lib.train.blocks.tuned import TunedLinear, packed_again, tunable


@dataclass(frozen=True)
class BlockRecipe:
    """Adam's `steps` a block, on `batch` windows each, the rate falling to 0 in a line.

    `code_steps` times in between, after equal parts of the steps, codes may move.
    ValueError for counts below 1, a rate that is not positive, and code steps below 0.
    """

    steps: int = 60
    batch: int = 4
    lr: float = 1e-3
    code_steps: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch) < 1 or self.code_steps < 0 or not self.lr > 0:
            raise ValueError(f"{self}: a count or the rate is out of range")


def tune_blocks(
    student: nn.Module,
    teacher: nn.Module,
    windows: Int[Tensor, "n window"],
    recipe: BlockRecipe | None = None,
) -> list[tuple[float, float]]:
    """Tune a quantized `student`, in place; each block's loss before and after.

    `teacher` is the float model of the same shape. ValueError for models whose blocks
    do not match, and for a block without packed layers.
    """
    recipe = recipe or BlockRecipe()
    pairs = list(zip(_blocks(student), _blocks(teacher), strict=False))
    if len(_blocks(student)) != len(_blocks(teacher)):
        raise ValueError(
            f"{len(_blocks(student))} blocks cannot imitate {len(_blocks(teacher))}"
        )
    student.requires_grad_(False)
    x, arrival = _entering(student, windows, recipe.batch)
    wanted, _ = _entering(teacher, windows, recipe.batch)
    losses = []
    for mine, theirs in progress(pairs, "tuning blocks"):
        call = _Block(mine, arrival, recipe.batch)
        wanted = _Block(theirs, arrival, recipe.batch).all(wanted)
        losses.append(_tune(call, x, wanted, recipe))
        x = call.all(x)
    return losses


def _blocks(model: nn.Module) -> nn.ModuleList:
    """The list of the model's blocks, as transformers names it; ValueError without."""
    blocks = getattr(getattr(model, "base_model", model), "layers", None)
    if blocks is None:
        raise ValueError(f"{type(model).__name__} has no `layers`")
    return blocks


class _Seen(Exception):  # noqa: N818 - nothing went wrong
    """The first block's inputs are there."""


@torch.no_grad()
def _entering(
    model: nn.Module, windows: Tensor, batch: int
) -> tuple[Float[Tensor, "n window width"], Arrival]:
    """What enters the first block, and how it is called for one window."""
    seen: list[Arrival] = []

    def look(arrival: Arrival) -> None:
        seen.append(arrival)
        raise _Seen

    with before({"first": _blocks(model)[0]}, look):
        for ids in (windows[:1], *windows.split(batch)):
            with suppress(_Seen):
                model(input_ids=ids, use_cache=False)
    return torch.cat([arrival.x for arrival in seen[1:]]), seen[0]


@dataclass
class _Block:
    """A block, with the arguments that it is called with beside the hidden states."""

    block: nn.Module
    like: Arrival
    batch: int

    def __call__(self, x: Float[Tensor, "n window width"]) -> Tensor:
        """The hidden states that leave the block."""
        out: Any = self.block(x, *self.like.others, **self.like.keywords)
        return out[0] if isinstance(out, tuple) else out

    @torch.no_grad()
    def all(
        self, x: Float[Tensor, "n window width"]
    ) -> Float[Tensor, "n window width"]:
        """The same of all windows, a batch at a time, without a gradient."""
        return torch.cat([self(part) for part in x.split(self.batch)])

    def loss(self, x: Tensor, wanted: Tensor) -> Float[Tensor, ""]:
        """The mean relative squared error of a token."""
        lost = (self(x) - wanted).square().sum(-1)
        return (lost / wanted.square().sum(-1)).mean()

    @torch.no_grad()
    def whole_loss(self, x: Tensor, wanted: Tensor) -> float:
        """The same over all windows."""
        parts = zip(x.split(self.batch), wanted.split(self.batch), strict=True)
        return sum(self.loss(*pair).item() * len(pair[0]) for pair in parts) / len(x)


class _NoBetter(Exception):  # noqa: N818 - the block goes back to what it was
    """Training raised the loss."""


def _tune(
    call: _Block, x: Tensor, wanted: Tensor, recipe: BlockRecipe
) -> tuple[float, float]:
    """Train one block; its loss over all windows before and after, never larger."""
    first = last = call.whole_loss(x, wanted)
    with suppress(_NoBetter), restored_on_failure(call.block):
        layers = tunable(call.block)
        _train(call, layers, x, wanted, recipe)
        packed_again(call.block)
        after = call.whole_loss(x, wanted)
        if not after <= first:  # NaN, too
            raise _NoBetter
        last = after
    return first, last


def _train(
    call: _Block,
    layers: dict[str, TunedLinear],
    x: Tensor,
    wanted: Tensor,
    recipe: BlockRecipe,
) -> None:
    """The steps of Adam, and of the codes in between."""
    sizes = [(p, p.detach().square().mean().sqrt()) for p in call.block.parameters()]
    groups = [{"params": [p], "size": size.item()} for p, size in sizes]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.95))
    draw = torch.Generator().manual_seed(recipe.seed)
    part = -(-recipe.steps // (recipe.code_steps + 1))
    for step in range(recipe.steps):
        if step and step % part == 0:
            _move(call, layers, x, wanted)
        rows = torch.randperm(len(x), generator=draw)[: recipe.batch].to(x.device)
        optimizer.zero_grad()
        with torch.enable_grad():
            call.loss(x[rows], wanted[rows]).backward()
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * group["size"] * (1 - step / recipe.steps)
        optimizer.step()


def _move(
    call: _Block, layers: dict[str, TunedLinear], x: Tensor, wanted: Tensor
) -> None:
    """One PV step of the codes, by the gradient over all windows."""
    slopes: dict[str, Tensor] = {}
    now = 0.0
    for mine, theirs in zip(x.split(call.batch), wanted.split(call.batch), strict=True):
        for layer in layers.values():
            layer.outcome = []
        with torch.enable_grad():
            loss = call.loss(mine, theirs) * (len(mine) / len(x))
            loss.backward()
        now += loss.item()
        for name, layer in layers.items():
            slope = layer.outcome[0].grad
            slopes[name] = slopes[name] + slope if name in slopes else slope
    for layer in layers.values():
        layer.outcome = None
    move_codes(layers, lambda: call.whole_loss(x, wanted), slopes, now)
