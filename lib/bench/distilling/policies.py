"""Whose texts, and which of the two divergences: five ways to go on from one start.

    way               text written by     loss a token
    labels            people              −log q(y)
    word              people              KL(p ‖ q)
    sequence          the teacher         −log q(y): KL(p(y) ‖ q(y)) by samples
    teacher's words   the teacher         KL(p ‖ q): the same in the mean, less noise
    on-policy         the student         KL(q ‖ p)

    python -m lib.bench policies             # on a GPU, two minutes
    python -m lib.bench policies --small     # anywhere: no claims

The teacher is the course's own; a student of two layers is first trained on labels, and
each way goes on from there for the same number of steps, on texts that begin with the
same words of plays. Measured on *The Tempest*, which nobody was trained on.

Read in order: `Sizes`, `WAYS`, `texts_of`, `measured`, `measure`, `main`.
"""

import argparse
import copy
import time
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lib.bench.record import Run, record
from lib.data.text import play
from lib.distill import corpus
from lib.distill.recipes import llama
from lib.distill.sequence import on_policy_loss, text_divergences, write
from lib.distill.student import Loss, Schedule, train
from lib.models.load import load_model

TEST = "the-tempest"


@dataclass(frozen=True)
class Sizes:
    """Tokens, texts and steps."""

    prompt: int = 8
    new_tokens: int = 24
    start_steps: int = 600
    steps: int = 150
    batch: int = 64
    texts: int = 8192  # to learn from, of people and of the teacher
    measured: int = 512


TRIAL = Sizes(4, 4, 3, 2, 4, 16, 8)


def gold(student: nn.Module, texts: Int[Tensor, "n length"], prompt: int) -> Tensor:
    """The mean −log q of each token behind the prompt."""
    logits = student(input_ids=texts, use_cache=False).logits[:, prompt - 1 : -1]
    return cross_entropy(logits.flatten(0, 1), texts[:, prompt:].flatten())


def ways(teacher: nn.Module, sizes: Sizes) -> dict[str, tuple[str, Loss]]:
    """Who wrote the text, and what is minimised."""
    prompt, new = sizes.prompt, sizes.new_tokens

    def labels(student: nn.Module, texts: Tensor) -> Tensor:
        return gold(student, texts, prompt)

    def words(student: nn.Module, texts: Tensor) -> Tensor:
        return text_divergences(student, teacher, texts, prompt).mean() / new

    def own(student: nn.Module, texts: Tensor) -> Tensor:
        # The loop seeds each step: the student's draws are of that step
        seed = torch.initial_seed() % 2**31
        return on_policy_loss(student, teacher, texts[:, :prompt], new, seed=seed)

    return {
        "labels": ("people", labels),
        "word": ("people", words),
        "sequence": ("teacher", labels),
        "teacher's words": ("teacher", words),
        "on-policy": ("people", own),
    }


def texts_of(
    model: nn.Module, human: Int[Tensor, "n length"], prompt: int, seed: int
) -> Int[Tensor, "n length"]:
    """The same beginnings, gone on with by draws of `model`."""
    starts, new = human[:, :prompt], human.shape[1] - prompt
    drawn = write(model, starts.tolist(), new, seed=seed, batch=2048)
    return torch.cat((starts, torch.tensor(drawn, device=human.device)), 1)


@torch.no_grad()
def measured(
    student: nn.Module, teacher: nn.Module, tests: dict[str, Tensor], sizes: Sizes
) -> dict[str, float]:
    """Nats a token: of people's text, and both divergences of whole texts."""
    prompt, new = sizes.prompt, sizes.new_tokens
    own = texts_of(student, tests["people"], prompt, seed=1)
    forward = text_divergences(student, teacher, tests["teacher"], prompt)
    reverse = text_divergences(student, teacher, own, prompt, beta=1.0)
    return {
        "labels": gold(student, tests["people"], prompt).item(),
        "KL(p ‖ q)": forward.mean().item() / new,
        "KL(q ‖ p)": reverse.mean().item() / new,
        "teacher's nats of it": gold(teacher, own, prompt).item(),
    }


def measure(
    teacher: nn.Module, tokenizer, sizes: Sizes, seed: int, device: str
) -> dict:
    """A start, and the five ways to go on from it; seconds are a step's."""
    length = sizes.prompt + sizes.new_tokens
    draw = torch.Generator().manual_seed(seed)

    def human(texts: dict[str, str], count: int) -> Tensor:
        windows = torch.cat(list(corpus.windows_of(tokenizer, texts, length).values()))
        return windows[torch.randperm(len(windows), generator=draw)[:count]].to(device)

    plays = {"plays": corpus.training_text()["plays"]}
    people = {
        "train": human(plays, sizes.texts),
        "test": human({"test": play(TEST)}, sizes.measured),
    }
    train_texts, tests = ({"people": people[part]} for part in ("train", "test"))
    for of in (train_texts, tests):
        of["teacher"] = texts_of(teacher, of["people"], sizes.prompt, seed)
    start = llama(width=96, layers=2, heads=4, mlp=256, seed=seed).to(device)
    found: dict = {"seed": seed, "parameters": start.num_parameters()}
    found |= {"ways": {}, "teacher": measured(teacher, teacher, tests, sizes)}
    known = ways(teacher, sizes)

    def go_on(student: nn.Module, way: str, steps: int, rate: float) -> float:
        author, loss = known[way]
        schedule = Schedule(
            steps, sizes.batch, rate, warmup=max(1, steps // 10), seed=seed
        )
        began = time.perf_counter()
        train(student, loss, train_texts[author], schedule, every=steps)
        return (time.perf_counter() - began) / steps

    go_on(start, "labels", sizes.start_steps, 4e-3)
    found["ways"]["start"] = measured(start, teacher, tests, sizes)
    for way in known:
        student = copy.deepcopy(start)
        seconds = go_on(student, way, sizes.steps, 1e-3)
        seen = measured(student, teacher, tests, sizes)
        found["ways"][way] = seen | {"seconds": seconds}
    return found


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many seeds; a size for any machine."""
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="a size for a CPU")


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """A row a seed, recorded at once."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = TRIAL if options.small else Sizes()
    teacher, tokenizer = load_model("teacher")
    teacher = teacher.to(device)
    results: dict = {"sizes": asdict(sizes), "rows": []}
    protocol = f"nats a token on {TEST}; every way goes on from the same start"
    for seed in range(options.seeds):
        row = measure(teacher, tokenizer, sizes, seed, device)
        print(row, flush=True)
        results["rows"].append(row)
        record(run, results, protocol=protocol)
    return True
