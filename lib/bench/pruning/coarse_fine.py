"""Coarse and fine masks learned on the course's teacher, whose weights stay.

    python -m lib.bench cofi         # two minutes of a core

For each target and seed: log α of all gates by Adam, λ by ascent, on windows of the
calibration plays. The masks that fit the target are measured on *Hamlet*, beside equal
shares of every layer's neurons (Minitron's importance) and of all heads (gradients).
`minitron` halves the teacher's blocks, in layers or in neurons and heads, and trains
what is left for as many steps, by distillation and by labels.

Read in order: `learn`, `by_scores`, `halves`, `main`.
"""

import argparse
import copy
import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from lib.bench.record import Run, processor_name, record
from lib.data.text import calibration_windows
from lib.distill.losses import divergence
from lib.models.evaluate import EvaluationProtocol, perplexity
from lib.models.llama import head_dim
from lib.models.load import load_model
from lib.models.structure.gates import gated, head_gradients, watch_structure
from lib.models.structure.surgery import drop_layers, keep_heads, keep_neurons
from lib.progress import progress
from lib.prune.structured.cofi import CoarseFine, Lagrangian, Shape, weights_of
from lib.prune.structured.heads import head_importance
from lib.prune.structured.importance import gates_of, kept_in_groups, kept_of

TARGETS, SEEDS = (0.85,), (0, 1)
STEPS, BATCH, WINDOW = 80, 4, 128
RATES = {"lr": 0.2}  # of log α
ASCENT = 2.0  # of λ
RETRAINED, TRAINING = 30, {"lr": 1e-3}


def shape_of(model: PreTrainedModel) -> Shape:
    """The sizes that its configuration says."""
    c = model.config
    return Shape(
        layers=c.num_hidden_layers,
        heads=c.num_attention_heads,
        groups=c.num_key_value_heads,
        neurons=c.intermediate_size,
        hidden=c.hidden_size,
        head_dim=head_dim(c),
    )


def learn(
    model: PreTrainedModel, windows: Tensor, target: float, *, steps: int, seed: int
) -> tuple[CoarseFine, list[dict[str, float]]]:
    """Gates that pay least for this size, and how size and λ₁ went."""
    gates = CoarseFine(shape_of(model))
    optimizer = torch.optim.Adam(gates.log_alpha.values(), **RATES)
    force, draw = Lagrangian(target, rate=ASCENT), torch.Generator().manual_seed(seed)
    course = []
    for _ in progress(range(steps), "masks"):
        ids = windows[torch.randint(len(windows), (BATCH,), generator=draw)]
        with torch.enable_grad(), gated(model, **gates.sample(draw)):
            loss = model(ids, labels=ids, use_cache=False).loss
        share = gates.expected_share()
        optimizer.zero_grad()
        (loss + force.penalty(share)).backward()
        optimizer.step()
        force.ascend(share.item())
        course.append({"share": share.item(), "lambda": force.first})
    return gates, course


def by_scores(
    model: PreTrainedModel, windows: Tensor, target: float
) -> dict[str, Tensor]:
    """As many neurons of every layer, and as many heads of all, as come to the size.

    ValueError where not even one of each fits.
    """
    shape, neurons = shape_of(model), watch_structure(model, windows)[0]
    heads = head_importance(head_gradients(model, windows))
    fine = torch.stack([layer.score for layer in neurons])
    for per_mille in range(1000, 0, -1):
        share = per_mille / 1000
        count = math.ceil(share * heads.numel())
        masks = {
            "heads": gates_of(heads.flatten()[None], count).view_as(heads),
            "neurons": gates_of(fine, math.ceil(share * shape.neurons)),
        }
        if weights_of(shape, **masks) <= target * shape.full:
            return masks
    raise ValueError(f"nothing fits {target}")


def halves(model: PreTrainedModel, windows: Tensor) -> dict[str, PreTrainedModel]:
    """The model with half of its blocks, and with blocks of half the width."""
    neurons, influence = watch_structure(model, windows)
    gradients = head_importance(head_gradients(model, windows))
    deep, wide = copy.deepcopy(model), copy.deepcopy(model)
    turned = torch.tensor([layer.score for layer in influence])
    count = len(turned) // 2
    drop_layers(deep, set(range(len(turned))) - set(kept_of(turned, count).tolist()))
    shape = shape_of(model)
    each = shape.heads // shape.groups // 2
    keep_heads(wide, [kept_in_groups(row, shape.groups, each) for row in gradients])
    # Keys and values stay: so many more neurons go that both halves are of one size.
    left = shape.full // 2 - 2 * shape.layers * shape.hidden * shape.head_dim * (
        shape.groups * (each + 1)
    )
    count = left // (3 * shape.layers * shape.hidden)
    keep_neurons(wide, [kept_of(layer.score, count) for layer in neurons])
    return {"depth": deep, "width": wide}


def retrain(
    student: PreTrainedModel,
    windows: Tensor,
    teacher: PreTrainedModel | None,
    *,
    steps: int,
    seed: int,
) -> PreTrainedModel:
    """Train all weights by the teacher's distributions, or by labels without one."""
    student, draw = copy.deepcopy(student), torch.Generator().manual_seed(seed)
    student.requires_grad_(True)
    optimizer = torch.optim.AdamW(student.parameters(), **TRAINING)
    for step in progress(range(steps), "retraining"):
        optimizer.param_groups[0]["lr"] = TRAINING["lr"] * (1 - step / steps)
        ids = windows[torch.randint(len(windows), (2 * BATCH,), generator=draw)]
        guess = student(ids, use_cache=False).logits[:, :-1]
        if teacher is None:
            loss = cross_entropy(guess.flatten(0, 1), ids[:, 1:].flatten())
        else:
            with torch.no_grad():
                soft = teacher(ids, use_cache=False).logits[:, :-1]
            loss = divergence(guess, soft).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
    return student.requires_grad_(False)


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many steps of each training."""
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--retraining", type=int, default=RETRAINED)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Learn masks for every target, halve the blocks, and record."""
    model, tokenizer = load_model("teacher")
    test = EvaluationProtocol(tokens=2048, window=256).windows(tokenizer)
    windows = calibration_windows(tokenizer, count=1024, window=WINDOW)
    results: dict[str, Any] = {"whole": perplexity(model, test), "masks": []}
    how = (
        f"the course's teacher on {len(test)} windows of 256 of Hamlet; masks: "
        f"{options.steps} steps of {BATCH} windows of {WINDOW}; minitron: "
        f"{options.retraining} steps of {2 * BATCH}"
    )
    shape = shape_of(model)

    def measured(masks: dict[str, Tensor]) -> dict[str, Any]:
        with gated(model, **masks):
            found = perplexity(model, test)
        kept = {name: (mask != 0).sum(1).tolist() for name, mask in masks.items()}
        share = weights_of(shape, **masks) / shape.full
        return {"perplexity": found, "share": share, "kept": kept}

    for target in TARGETS:
        base = {"target": target}
        masks = by_scores(model, windows[:32], target)
        results["masks"].append(base | {"way": "scores"} | measured(masks))
        for seed in SEEDS:
            gates, course = learn(
                model, windows, target, steps=options.steps, seed=seed
            )
            row = base | {"way": "learned", "seed": seed, "course": course[::5]}
            results["masks"].append(row | measured(gates.to_size(target)))
            record(run, results, protocol=how, device=processor_name())
    cut = halves(model, windows[:32])
    results["minitron"] = [
        {"way": way, "seed": None, "by": "nothing", "perplexity": perplexity(net, test)}
        for way, net in cut.items()
    ]
    for seed in SEEDS:
        for way, net in cut.items():
            for by, teacher in (("distillation", model), ("labels", None)):
                row = {"way": way, "seed": seed, "by": by}
                setting = {"steps": options.retraining, "seed": seed}
                net_after = retrain(net, windows, teacher, **setting)
                row["perplexity"] = perplexity(net_after, test)
                results["minitron"].append(row)
                record(run, results, protocol=how, device=processor_name())
    return True
