"""A rationale as a second task, or as a trace before the answer.

    answer only    [answer] d_1 … d_n = y
    second task    [answer] d_1 … d_n = y, and [rationale] d_1 … d_n = d_1 r_1 … d_n r_n
                   L = L_answer + λ L_rationale: two prompts, one student
    trace          [answer] d_1 … d_n = d_1 r_1 … d_n r_n

The second task costs nothing when the student answers: it is asked for the answer
alone. A trace must be written every time. Only what stands behind "=" is learned.

Read in order: `LAYOUTS`, `layout`, `labels_of`, `rationale_loss`, `exact_match`.
Source: second task: Hsieh et al. 2023, "Distilling step-by-step", arXiv:2305.02301,
section 3.2; traces: DeepSeek-AI 2025, "DeepSeek-R1", arXiv:2501.12948, section 2.4.
"""

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lib.distill.losses import IGNORED
from lib.distill.reasoning.sums import rationales
from lib.distill.sequence import write

EQUALS, ANSWER, RATIONALE, PADDING = 10, 11, 12, 13  # behind the digits
VOCABULARY = 14
LAYOUTS = ("answer", "second task", "trace")


def layout(problem: Int[Tensor, "n digits"], how: str) -> Int[Tensor, "rows length"]:
    """Texts to learn from: a row a problem, or two for the second task, one by one.

    Rows are padded on the right to one length. ValueError for an unknown layout.
    """
    if how not in LAYOUTS:
        raise ValueError(f"{how!r} is none of {LAYOUTS}")
    reasons = rationales(problem)
    answer = reasons[:, -1:]
    if how == "answer":
        return torch.cat((prompts(problem), answer), 1)
    if how == "trace":
        return torch.cat((prompts(problem), reasons), 1)
    padding = torch.full_like(reasons[:, 1:], PADDING)
    first = torch.cat((prompts(problem), answer, padding), 1)
    second = torch.cat((prompts(problem, RATIONALE), reasons), 1)
    return torch.stack((first, second), 1).flatten(0, 1)


def prompts(
    problem: Int[Tensor, "n digits"], task: int = ANSWER
) -> Int[Tensor, "n length"]:
    """A task's mark, the digits, and "="."""
    column = problem[:, :1]
    parts = torch.full_like(column, task), problem, torch.full_like(column, EQUALS)
    return torch.cat(parts, 1)


def labels_of(rows: Int[Tensor, "n length"]) -> Int[Tensor, "n length"]:
    """The token behind each place, where it is to be learned: after "=", no padding."""
    labels = torch.full_like(rows, IGNORED)
    learned = (rows == EQUALS).cumsum(1)[:, :-1] > 0
    learned &= rows[:, 1:] != PADDING
    labels[:, :-1][learned] = rows[:, 1:][learned]
    return labels


def rationale_loss(
    student: nn.Module, rows: Int[Tensor, "n length"], *, weight: float = 1.0
) -> Tensor:
    """L_answer + λ L_rationale, each the mean over its own tokens.

    A task of which no row is in the batch adds nothing.
    """
    logits = student(input_ids=rows, use_cache=False).logits
    labels, total = labels_of(rows), logits.new_zeros(())
    for task, λ in ((ANSWER, 1.0), (RATIONALE, weight)):
        mine = rows[:, 0] == task
        if mine.any():
            pairs = logits[mine].flatten(0, 1), labels[mine].flatten()
            total = total + λ * cross_entropy(*pairs, ignore_index=IGNORED)
    return total


def exact_match(
    student: nn.Module, problem: Int[Tensor, "n digits"], how: str
) -> float:
    """The share of problems whose last written token is the answer; greedy.

    The student writes one token, or with "trace" all of the trace, which ends in it.
    """
    length = 2 * problem.shape[1] if how == "trace" else 1
    asked = prompts(problem).tolist()
    new = write(student, asked, length, temperature=0.0, batch=512)
    last = torch.tensor([text[-1] for text in new])
    return (last == rationales(problem)[:, -1]).float().mean().item()
