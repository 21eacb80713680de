"""Students of a 6-gram: which targets, which temperature, how much text; which teacher.

    python -m lib.bench distillation     # ten minutes of a core; goes on where it was

`targets`: gold labels, the teacher's likeliest letter, its distribution at T, on texts
of three lengths. `together`: on 40,000 letters and without the 6-gram, a network as the
teacher: one, four, one with dropout, or a fellow student.

Read in order: `targets`, `together`, `main`.
"""

import argparse
import time

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from lib.bench.distilling.letters import (
    BATCH,
    STEPS,
    LetterNet,
    Teacher,
    fit,
    measured,
    plays,
)
from lib.bench.distilling.seeds import add_seeds, by_seed
from lib.bench.record import Run
from lib.distill.losses import Objective
from lib.distill.student import Schedule, train
from lib.distill.teachers.averaged import (
    codistillation_loss,
    dropout_teacher,
    ensemble,
)

SHORT, MIDDLE, LONG = 5_000, 40_000, 400_000
TEMPERATURES = (1, 2, 4, 8)
MODELS, SAMPLES, DROPOUT = 4, 8, 0.3


def targets(seed: int) -> dict:
    """Bits and accuracy of a student by text and by target."""
    ways: dict[str, tuple[Objective | None, Teacher]] = {
        "gold": (None, plays().logits),
        "hard": (Objective(), likeliest),
    }
    for t in TEMPERATURES:
        ways[f"soft, T = {t}"] = Objective(temperature=t), plays().logits
    found: dict = {}
    for letters in (SHORT, MIDDLE, LONG):
        text, found[str(letters)] = plays().text(letters), {}
        few = ("gold", "soft, T = 1")
        for way in ways if letters < LONG else few:
            objective, teacher = ways[way]
            net = LetterNet(len(plays().letters), seed=seed)
            how = {"seed": seed, "objective": objective, "teacher": teacher}
            done = fit(net, text, look=True, **how)
            best = min(done.looks, key=lambda look: look["stop"])
            stopped = {"stopped_bits": best["bits"], "stopped_step": best["step"]}
            found[str(letters)][way] = measured(net, plays().test) | stopped
    return found


def likeliest(contexts: Tensor) -> Tensor:
    """Hard targets, as logits: all the mass on the teacher's likeliest letter."""
    logits = plays().logits(contexts)
    return 1e4 * (one_hot(logits.argmax(-1), logits.shape[-1]) - 1.0)


def together(seed: int) -> dict:
    """Bits of students of networks, beside the processor's seconds, all in all."""
    text, letters = plays().text(MIDDLE), len(plays().letters)
    began = time.process_time()
    models = [LetterNet(letters, seed=10 + i, dropout=DROPOUT) for i in range(MODELS)]
    for i, model in enumerate(models):
        fit(model, text, seed=100 * seed + i)
    each = (time.process_time() - began) / MODELS
    teachers: dict[str, tuple[Teacher, float]] = {
        "one": (torch.no_grad()(models[0]), each),
        f"ensemble of {MODELS}": (lambda x: ensemble(models, x), MODELS * each),
        f"dropout, {SAMPLES} draws": (
            lambda x: dropout_teacher(models[0], x, SAMPLES),
            each,
        ),
    }
    found = {"gold": taught(text, seed, None, plays().logits, 0.0)}
    for name, (teacher, cost) in teachers.items():
        row = taught(text, seed, Objective(kd=0.5, ce=0.5), teacher, cost)
        found[name] = row | {"teacher_bits": measured(teacher, plays().test)["bits"]}
    found["co-distillation of 2"] = fellows(text, seed)
    return found


def taught(
    text: Tensor, seed: int, objective: Objective | None, teacher: Teacher, cost: float
) -> dict[str, float]:
    """One student without dropout; its seconds and its teacher's."""
    net, began = LetterNet(len(plays().letters), seed=seed), time.process_time()
    how = {"objective": objective, "teacher": teacher}
    fit(net, text, seed=seed, **how)
    seconds = time.process_time() - began + cost
    return measured(net, plays().test) | {"seconds": seconds}


def fellows(text: Tensor, seed: int) -> dict[str, float]:
    """Two students at once, each taught by the other; the mean of both, and both."""
    began, letters = time.process_time(), len(plays().letters)
    pair = nn.ModuleList(LetterNet(letters, seed=s) for s in (seed, 1000 + seed))
    objective = Objective(kd=0.5, ce=0.5)

    def loss(students: nn.Module, rows: Tensor) -> Tensor:
        logits = [student(rows[:, :-1]) for student in students]
        return codistillation_loss(logits, rows[:, -1], objective)

    schedule = Schedule(STEPS, batch=BATCH, rate=5e-3, warmup=50, decay=0.0, seed=seed)
    train(pair, loss, text, schedule, every=STEPS)
    seconds = time.process_time() - began
    alone = [measured(student, plays().test)["bits"] for student in pair]
    both = measured(lambda x: ensemble(list(pair), x), plays().test)["bits"]
    return {"bits": sum(alone) / 2, "both_bits": both, "seconds": seconds}


def measure(seed: int) -> dict:
    """A row of the table."""
    return {"targets": targets(seed), "together": together(seed)}


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many seeds."""
    add_seeds(parser)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """A row a seed."""
    teacher = measured(plays().logits, plays().test)
    protocol = (
        f"{STEPS} steps of {BATCH} places, the last step's net; bits a letter and "
        f"accuracy on {len(plays().test)} places of The Tempest; stopped: best of "
        f"12 looks at Henry V; the 6-gram itself: {teacher['bits']:.3f} bits, accuracy "
        f"{teacher['accuracy']:.3f}; seconds of a processor that others used too"
    )
    return by_seed(run, options.seeds, measure, protocol)
