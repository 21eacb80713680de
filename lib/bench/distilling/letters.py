"""The task: guess a play's next letter from eight letters, taught by a 6-gram.

    teacher   a 6-gram of six plays      student   8 embeddings → 128 → V, tanh

The student sees the first `letters` letters of other plays; *The Tempest* measures.
All students take the same number of steps of the same loop, so that a short text is
read many times over.

Read in order: `Plays`, `LetterNet`, `fit`, `measured`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lib.data.ngram import NGram, fit_ngram
from lib.data.text import CALIBRATION, play
from lib.distill.losses import Objective, distillation_loss
from lib.distill.student import Progress, Schedule, train

SEEN, ORDER = 8, 6  # letters that the student sees; the teacher's n
STEPS, BATCH = 600, 256
PUPIL = "othello"  # and what follows: the student's own text
FOLLOWS = ("macbeth", "coriolanus")
PLACES = 8192  # measured

Teacher = Callable[[Tensor], Tensor]  # contexts → logits


@dataclass(frozen=True)
class Plays:
    """Texts as numbers of letters, and the teacher."""

    letters: str
    own: Int[Tensor, " length"]  # the student's
    stop: Int[Tensor, "places run"]  # tells when to stop
    test: Int[Tensor, "places run"]
    teacher: NGram

    def text(self, count: int) -> Int[Tensor, "n run"]:
        """Runs of the student's first `count` letters: eight, and the next."""
        return runs(self.own[:count])

    def logits(self, contexts: Int[Tensor, "n seen"]) -> Float[Tensor, "n letters"]:
        """The teacher's log p."""
        return self.teacher.probabilities(contexts).log()


@cache
def plays() -> Plays:
    """Read the plays and count the teacher's table."""
    taught = "\n\n".join(play(name) for name in CALIBRATION)
    letters = "".join(sorted(set(taught)))
    place = {letter: i for i, letter in enumerate(letters)}

    def ids(text: str) -> Tensor:
        return torch.tensor([place[c] for c in text if c in place])

    own = ids("\n\n".join(play(name) for name in (PUPIL, *FOLLOWS)))
    stop, test = (runs(ids(play(n))) for n in ("henry-v", "the-tempest"))
    return Plays(
        letters,
        own,
        stop[:: len(stop) // PLACES][:PLACES],
        test[:: len(test) // PLACES][:PLACES],
        fit_ngram(ids(taught), ORDER, len(letters)),
    )


def runs(ids: Int[Tensor, " length"]) -> Int[Tensor, "n run"]:
    """All runs of eight letters and the next one."""
    return ids.unfold(0, SEEN + 1, 1)


class LetterNet(nn.Module):
    """Logits of the next letter from the eight before."""

    def __init__(self, letters: int, *, seed: int, dropout: float = 0.0) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.embed = nn.Embedding(letters, 16)
            self.hidden = nn.Linear(SEEN * 16, 128)
            self.out = nn.Linear(128, letters)
        self.drop = nn.Dropout(dropout)

    def forward(self, contexts: Int[Tensor, "n seen"]) -> Float[Tensor, "n letters"]:
        """Embed, mix, drop, read out."""
        hidden = torch.tanh(self.hidden(self.embed(contexts).flatten(1)))
        return self.out(self.drop(hidden))


def fit(
    net: nn.Module,
    text: Int[Tensor, "n run"],
    *,
    seed: int,
    objective: Objective | None = None,
    teacher: Teacher | None = None,
    steps: int = STEPS,
    look: bool = False,
) -> Progress:
    """Train on `text`: on gold labels without an objective, else on `teacher`.

    ValueError for an objective without a teacher.
    """
    if objective and not teacher:
        raise ValueError(f"{objective} without a teacher")

    def loss(student: nn.Module, rows: Tensor) -> Tensor:
        contexts, gold = rows[:, :-1], rows[:, -1]
        logits = student(contexts)
        if not objective or not teacher:
            return cross_entropy(logits, gold)
        return distillation_loss(logits, teacher(contexts), gold, objective)

    def stop(student: nn.Module) -> dict[str, float]:
        seen = measured(student, plays().stop)
        return {"stop": seen["bits"]} | measured(student, plays().test)

    schedule = Schedule(
        steps,
        batch=BATCH,
        rate=5e-3,
        warmup=50,
        decay=0.0,
        seed=seed,
        betas=(0.9, 0.99),
    )
    every = steps // 12 if look else steps
    return train(net, loss, text, schedule, every=every, look=stop if look else None)


@torch.inference_mode()
def measured(model: Teacher, text: Int[Tensor, "n run"]) -> dict[str, float]:
    """Bits a letter, and the share of letters that were the likeliest."""
    logits, gold = model(text[:, :-1]), text[:, -1]
    bits = cross_entropy(logits, gold).item() / torch.tensor(2.0).log().item()
    return {"bits": bits, "accuracy": (logits.argmax(-1) == gold).float().mean().item()}
