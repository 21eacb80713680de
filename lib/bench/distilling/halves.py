"""Half of the course's teacher: where the student begins, and which losses it needs.

    python -m lib.bench distillation_halves        # minutes of a core; goes on there
    python -m lib.bench distillation_halves_long   # on a GPU: 15 times the steps

Layers 0, 2, 4 of six, embeddings and head the teacher's and frozen in every row, so
that rows differ in one thing: the start, or a loss that is missing. λ and T are
DistilBERT's: 5 for soft targets, 2 for gold labels, 1 for the cosine, T = 2.

Read in order: `half`, `triple`, `measure`, `main`.
Source: Sanh et al. 2019, DistilBERT, arXiv:1910.01108, sections 2 and 4.2.
"""

import argparse
import copy
from functools import cache, partial

import torch
from jaxtyping import Int
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from lib.bench.distilling.seeds import add_seeds, by_seed
from lib.bench.record import Run
from lib.data.text import CALIBRATION, play
from lib.distill.corpus import windows_of
from lib.distill.intermediate import every_second, from_layers
from lib.distill.losses import Objective, next_tokens, triple_loss
from lib.distill.student import Loss, Schedule, train
from lib.models.load import load_model

WINDOW, MEASURED = 64, 64
STEPS, BATCH = 20, 4
LONG_STEPS, LONG_BATCH = 300, 32
ROWS = {
    "random start, triple": (False, Objective(5.0, 2.0, 1.0, temperature=2.0)),
    "teacher's layers, triple": (True, Objective(5.0, 2.0, 1.0, temperature=2.0)),
    "without the cosine": (True, Objective(5.0, 2.0, 0.0, temperature=2.0)),
    "without gold labels": (True, Objective(5.0, 0.0, 1.0, temperature=2.0)),
    "without soft targets": (True, Objective(0.0, 2.0, 1.0, temperature=2.0)),
    "gold labels alone": (True, Objective(0.0, 2.0, 0.0)),
}


@cache
def task() -> tuple[LlamaForCausalLM, Tensor, Tensor]:
    """The teacher, windows of the calibration plays, and of The Tempest."""
    teacher, tokenizer = load_model("teacher")
    texts = {
        "train": "\n\n".join(play(name) for name in CALIBRATION[:3]),
        "test": play("the-tempest"),
    }
    cut = windows_of(tokenizer, texts, WINDOW)
    every = len(cut["test"]) // MEASURED
    return teacher, cut["train"], cut["test"][::every][:MEASURED]


def half(teacher: LlamaForCausalLM, *, copied: bool, seed: int) -> LlamaForCausalLM:
    """Every second block, or as many random ones, in the teacher's embeddings."""
    student = from_layers(teacher, every_second(len(teacher.model.layers)))
    if not copied:
        config = copy.deepcopy(student.config)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            student.model.layers = LlamaForCausalLM(config).model.layers
    student.model.layers.requires_grad_(True)
    student.model.norm.requires_grad_(True)
    return student


def triple(teacher: LlamaForCausalLM, objective: Objective) -> Loss:
    """DistilBERT's loss of a student on windows."""

    def outputs(model: nn.Module, ids: Tensor) -> tuple[Tensor, Tensor]:
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
        return model.lm_head(hidden), hidden

    def loss(student: nn.Module, ids: Tensor) -> Tensor:
        with torch.no_grad():
            known = outputs(teacher, ids)
        return triple_loss(outputs(student, ids), known, next_tokens(ids), objective)

    return loss


@torch.inference_mode()
def score(
    model: nn.Module, teacher: nn.Module, windows: Int[Tensor, "n window"]
) -> dict[str, float]:
    """Nats a token, accuracy, and how often it chooses as the teacher does."""
    logits, known = (
        m(input_ids=windows, use_cache=False).logits[:, :-1] for m in (model, teacher)
    )
    gold = windows[:, 1:]
    nats = -logits.log_softmax(-1).gather(-1, gold[..., None])
    best = logits.argmax(-1)
    return {
        "nats": nats.mean().item(),
        "accuracy": (best == gold).float().mean().item(),
        "agreement": (best == known.argmax(-1)).float().mean().item(),
    }


def measure(seed: int, *, steps: int, batch: int, device: str) -> dict:
    """A score for each row, and of the teacher and the untrained half."""
    teacher, windows, held_out = (part.to(device) for part in task())
    found = {
        "teacher": score(teacher, teacher, held_out),
        "teacher's layers, untrained": score(
            half(teacher, copied=True, seed=seed), teacher, held_out
        ),
    }
    for name, (copied, objective) in ROWS.items():
        student = half(teacher, copied=copied, seed=seed).to(device)
        warm = max(3, steps // 10)
        schedule = Schedule(steps, batch, rate=1e-3, warmup=warm, seed=seed)
        train(student, triple(teacher, objective), windows, schedule, every=steps)
        found[name] = score(student, teacher, held_out)
    return {"scores": found}


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many seeds."""
    add_seeds(parser)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """A row a seed."""
    teacher, windows, held_out = task()
    small = half(teacher, copied=True, seed=0)
    long = name.endswith("long")
    steps, batch = (LONG_STEPS, LONG_BATCH) if long else (STEPS, BATCH)
    device = "cuda" if long and torch.cuda.is_available() else "cpu"
    protocol = (
        f"{steps} steps of {batch} of {len(windows)} windows of {WINDOW} tokens; "
        f"{teacher.num_parameters()} parameters, {small.num_parameters()} of the half; "
        f"measured on {len(held_out)} windows of The Tempest"
    )
    row = partial(measure, steps=steps, batch=batch, device=device)
    return by_seed(run, options.seeds, row, protocol, device=device)
