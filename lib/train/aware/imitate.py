"""Train a rounded model to say what the whole one says, or what a text says.

    L = mean over tokens of KL(p ‖ p̂)       p the teacher's next token, p̂ the student's
    L = mean over tokens of −log p̂(x_t)     without a teacher: the text's own tokens

Adam on float weights and grids, the rates falling to 0 in a line. The teacher's whole
distribution says more than one token of it; and with it, the float model cannot gain
by the same training, for it begins at L = 0. With labels it can: train it as long
before you compare.

Read in order: `logit_loss`, `parameter_groups`, `imitate`.  Taught in notebooks/08.
Source: Liu et al. 2023, "LLM-QAT", arXiv:2305.17888, section 2.3. (Its code divides by
the texts and not by their tokens: a longer window is a larger loss.)
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import kl_div
from torch.nn.utils import clip_grad_norm_

from lib.progress import progress
from lib.train.loop import Recipe, next_token_loss

GRIDS = ("log_scale", "zero")  # parameters of a grid, by the end of their names
GRID_RATE = 10.0  # theirs over the weights': ρ counts in e-folds, z in codes


def logit_loss(
    student: Float[Tensor, "batch window vocabulary"],
    teacher: Float[Tensor, "batch window vocabulary"],
) -> Float[Tensor, ""]:
    """KL(p ‖ p̂) in nats, the mean over all tokens, in float32; no gradient for p."""
    q, p = (x.float().log_softmax(-1).flatten(0, 1) for x in (student, teacher))
    return kl_div(q, p.detach(), reduction="batchmean", log_target=True)


def parameter_groups(
    model: nn.Module, lr: float, grid_rate: float = GRID_RATE
) -> list[dict]:
    """What learns, in two groups for an optimizer: weights, and grids faster.

    ValueError for a model in which nothing learns.
    """
    learned = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    if not learned:
        raise ValueError("nothing in the model learns")
    grids = [p for n, p in learned if n.split(".")[-1] in GRIDS]
    weights = [p for n, p in learned if n.split(".")[-1] not in GRIDS]
    groups = [(weights, lr), (grids, lr * grid_rate)]
    return [{"params": some, "lr": rate} for some, rate in groups if some]


def imitate(
    student: nn.Module,
    windows: Int[Tensor, "n window"],
    recipe: Recipe,
    teacher: nn.Module | Callable[..., object] | None = None,
    *,
    after: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train what learns in `student`, in place; each step's loss, before its update.

    `teacher` is called as the student is; None takes the windows' own tokens. Of
    `recipe`, `checkpointing` is not used. ValueError where nothing learns, and for a
    loss that is not finite.
    """
    groups = parameter_groups(student, recipe.lr)
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.95))
    rates, losses = [group["lr"] for group in groups], []
    learned = [p for group in groups for p in group["params"]]
    for step in progress(range(1, recipe.steps + 1), "training"):
        ids = windows[recipe.draw(step, len(windows))]
        loss = _loss(student, ids, teacher)
        if not loss.isfinite():
            raise ValueError(f"step {step}: the loss is {loss.item()}")
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(learned, recipe.clip)
        share = recipe.rate(step) / recipe.lr * (1 - (step - 1) / recipe.steps)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * share
        optimizer.step()
        losses.append(loss.item())
        if after is not None:
            after(step, losses[-1])
    return losses


def _loss(
    student: nn.Module, ids: Tensor, teacher: nn.Module | Callable[..., object] | None
) -> Float[Tensor, ""]:
    if teacher is None:
        return next_token_loss(student, ids)
    with torch.no_grad():
        known = teacher(input_ids=ids, use_cache=False).logits
    return logit_loss(student(input_ids=ids, use_cache=False).logits, known)
