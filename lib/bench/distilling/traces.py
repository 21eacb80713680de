"""Sums of five digits modulo ten: the answer alone, a second task, a trace before it.

    python -m lib.bench distillation_traces   # minutes of a core; goes on where it was

The same problems, student and number of steps for all; the second task's batch holds
both texts of half as many problems. Measured on problems that nobody trained on.

Read in order: `student`, `measure`, `main`.
"""

import argparse
from functools import partial

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lib.bench.distilling.seeds import add_seeds, by_seed
from lib.bench.record import Run
from lib.distill.reasoning.rationale import (
    LAYOUTS,
    PADDING,
    VOCABULARY,
    exact_match,
    layout,
    rationale_loss,
)
from lib.distill.reasoning.sums import problems
from lib.distill.student import Schedule, train

DIGITS, TRAINED, MEASURED = 5, 20_000, 500
STEPS, BATCH, LOOKS = 1000, 64, 10


def student(seed: int) -> LlamaForCausalLM:
    """Two layers with random weights, about 60,000 parameters."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=48,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=32,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=PADDING,
        )
        return LlamaForCausalLM(config)


def measure(seed: int) -> dict:
    """Exact match by layout, at the end and on the way there."""
    problem = problems(TRAINED + MEASURED, DIGITS, seed=seed)
    found = {}
    for how in LAYOUTS:
        net = student(seed)
        schedule = Schedule(STEPS, BATCH, rate=4e-3, decay=0.01, seed=seed)
        rows = layout(problem[:TRAINED], how)
        right = partial(exact_match, problem=problem[TRAINED:], how=how)
        done = train(
            net,
            rationale_loss,
            rows,
            schedule,
            every=STEPS // LOOKS,
            look=lambda student, right=right: {"exact_match": right(student)},
        )
        looks = [look["exact_match"] for look in done.looks]
        found[how] = {"exact_match": looks[-1], "looks": looks, "losses": done.losses}
    return found


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many seeds."""
    add_seeds(parser)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """A row a seed."""
    protocol = (
        f"{student(0).num_parameters()} parameters, {STEPS} steps of {BATCH} texts, "
        f"{TRAINED} problems; greedy, exact match "
        f"on {MEASURED} others, {LOOKS} looks on the way"
    )
    return by_seed(run, options.seeds, measure, protocol)
