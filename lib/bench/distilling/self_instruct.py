"""Self-Instruct with SmolLM2: seeds, proposals, filter, answers, training, judgement.

    python -m lib.bench self_instruct                     # on a GPU, some minutes
    python -m lib.bench self_instruct --small --seeds 1   # anywhere: no claims

SmolLM2 proposes exercises from 175 seeds, and answers them. Students: SmolLM2 itself,
trained on what it wrote, as the paper does; and the half of its layers, which can say
nothing until it is trained: on answers to the seeds alone, to as many proposals as
passed the filter, and to those that passed it. Same steps for each half.

Read in order: `Sizes`, `texts`, `judged`, `measure`, `main`.
"""

import argparse
import copy
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from lib.bench.record import Run, record
from lib.distill.instruct.judge import form, kept_rules, questions, reference_nats
from lib.distill.instruct.overlap import filtered
from lib.distill.instruct.propose import answer_loss, answered, proposals, rows_of
from lib.distill.intermediate import every_second, from_layers
from lib.distill.prompts import HELD_OUT
from lib.distill.prompts import questions as exercises
from lib.distill.student import Schedule, train
from lib.models.load import load_model

WINDOW, SEEDS = 192, 175


@dataclass(frozen=True)
class Sizes:
    """What a run proposes and trains; the paper has 175 seeds and 52,445 exercises."""

    proposed: int = 1024
    steps: int = 200
    own_steps: int = 50  # of SmolLM2 itself, which has less to learn
    batch: int = 16
    together: int = 512  # texts written at once
    new_tokens: int = 128


TRIAL = Sizes(12, 2, 1, 2, 12, 8)


def texts(model: nn.Module, tokenizer, sizes: Sizes, seed: int) -> tuple[dict, dict]:
    """Rows to learn from, by kind, and numbers about the proposals.

    ValueError where the filter keeps none of them.
    """
    seeds = exercises(seed)[: SEEDS if sizes != TRIAL else 12]
    found = proposals(
        model, tokenizer, seeds, count=sizes.proposed, seed=seed, batch=sizes.together
    )
    kept = filtered(found, seeds)
    if not kept:
        raise ValueError(f"none of {len(found)} proposals is new: {found[:3]}")
    rows = {}
    for kind, asked in (
        *(("seeds", seeds), ("unfiltered", found[: len(kept)])),
        ("filtered", kept),
    ):
        asked = [text for text in asked if text]
        answers = answered(
            model, tokenizer, asked, new_tokens=sizes.new_tokens, batch=sizes.together
        )
        rows[kind] = rows_of(tokenizer, asked, answers, WINDOW)
    same = len(found) - len({text.lower() for text in found})
    told = {
        "proposed": len(found),
        "word for word twice": same,
        "kept": len(kept),
        "some kept": kept[:: max(1, len(kept) // 12)][:12],
    }
    return rows, told


def judged(model: nn.Module, tokenizer, sizes: Sizes) -> dict:
    """References, rules, form; and two answers to look at."""
    options = {"new_tokens": sizes.new_tokens, "batch": sizes.together}
    said = answered(model, tokenizer, questions(), **options)
    free = answered(model, tokenizer, HELD_OUT, **options)
    plain = [tokenizer.decode(ids, skip_special_tokens=True) for ids in said]
    rules = kept_rules(plain)
    return {
        "reference_nats": reference_nats(model, tokenizer),
        "rules": rules,
        "rules_mean": sum(rules.values()) / len(rules),
        **form(free, tokenizer.eos_token_id),
        "samples": [
            tokenizer.decode(ids, skip_special_tokens=True)[:300] for ids in free[:2]
        ],
    }


def trained(
    student: nn.Module, rows: Tensor, steps: int, rate: float, sizes: Sizes, seed: int
) -> nn.Module:
    """`student` after `steps` on the rows, products in bf16 on a GPU.

    Blocks and last norm learn; the embeddings, which a half shares with SmolLM2, stay.
    """
    student.model.layers.requires_grad_(True)
    student.model.norm.requires_grad_(True)
    device = student.get_input_embeddings().weight.device.type

    def loss(model: nn.Module, windows: Tensor) -> Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            return answer_loss(model, windows)

    warm = max(1, steps // 10)
    batch = min(sizes.batch, len(rows))
    schedule = Schedule(steps, batch=batch, rate=rate, warmup=warm, seed=seed)
    train(student, loss, rows, schedule, every=steps)
    return student.requires_grad_(False)


def measure(model: nn.Module, tokenizer, sizes: Sizes, seed: int) -> dict:
    """One draw of proposals, and every student that learns from it."""
    rows, told = texts(model, tokenizer, sizes, seed)
    layers = every_second(model.config.num_hidden_layers)
    found: dict = {"seed": seed, "texts": told, "students": {}}
    found["texts"]["rows"] = {kind: len(own) for kind, own in rows.items()}
    whole = trained(
        copy.deepcopy(model), rows["filtered"], sizes.own_steps, 2e-5, sizes, seed
    )
    found["students"]["whole, filtered"] = judged(whole, tokenizer, sizes)
    del whole
    for kind, own in rows.items():
        half = from_layers(model, layers)
        half = trained(half, own, sizes.steps, 5e-4, sizes, seed)
        found["students"][f"half, {kind}"] = judged(half, tokenizer, sizes)
        del half
    return found


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many draws; a size for any machine."""
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="a size for a CPU")


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """What untrained models do, then a row a seed, recorded at once."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = TRIAL if options.small else Sizes()
    model, tokenizer = load_model()
    model = model.to(device)
    half = from_layers(model, every_second(model.config.num_hidden_layers))
    results = {
        "sizes": asdict(sizes) | {"window": WINDOW, "seeds": SEEDS},
        "whole": judged(model, tokenizer, sizes),
        "half": judged(half, tokenizer, sizes),
        "rows": [],
    }
    protocol = (
        "SmolLM2-135M-Instruct; greedy answers; 24 references written by hand, 48 "
        "demands that a program checks; halves trained for the same number of steps"
    )
    for seed in range(options.seeds):
        row = measure(model, tokenizer, sizes, seed)
        print(row, flush=True)
        results["rows"].append(row)
        record(run, results, protocol=protocol)
    return True
