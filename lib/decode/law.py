"""The law of a text that a rule of acceptance writes: exactly, drawn, and tested.

    a pass    draft x_1 … x_K; keep x_i with probability a_i, else write a token drawn
              from r_i and stop; after all K, one more from e
    its law   P(y) = Σ over all drafts, and all places of the first refusal
    the test  χ² = Σ_y (seen_y − n P(y))² / (n P(y)),   y every text of K + 1 tokens

`LOSSLESS` is the rule of Leviathan and of Chen: a = min(1, p/q), r = (p − q)⁺, e = p.
Its law is the target's. Another rule is a mistake, whose law can be computed as well,
and so can the chance that the test sees it. It looks at K + 1 tokens: among K of them
no mistake of the extra token shows.

p and q are tables: a row for each token that may stand before.

Read in order: `Rule`, `one_pass`, `law`, `target_law`; `write`; `chi_squared`,
`critical`, `power`.
Source: Leviathan et al. 2023, arXiv:2211.17192; Chen et al. 2023, arXiv:2302.01318.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.decode.sampling import draw

Row = Float[Tensor, " vocabulary"]
Table = Float[Tensor, "vocabulary vocabulary"]


def ratio(p: Row, q: Row, token: int) -> float:
    """p(x) / q(x), and 1 where it is more."""
    return min(1.0, float(p[token] / q[token])) if q[token] > 0 else 1.0


@dataclass(frozen=True)
class Rule:
    """What becomes of a draft; as it stands, nothing is lost.

    Weights need not sum to 1. `extra` gets the rows of p, K + 1, and of q, K; None
    forgets the token after a whole draft.
    """

    accept: Callable[[Row, Row, int], float] = ratio
    refused: Callable[[Row, Row, int], Row] = lambda p, q, token: (p - q).clamp(min=0)
    extra: Callable[[Tensor, Tensor], Row] | None = lambda p, q: p[-1]
    drafted: Callable[[Row], Row] = lambda q: q  # what x is really drawn from
    one_u: bool = False  # one random number for a whole draft


LOSSLESS = Rule()


def one_pass(
    rule: Rule, p: Table, q: Table, last: int, length: int
) -> dict[tuple[int, ...], float]:
    """What one pass may write after `last`, drafting `length`, and how likely it is."""
    found: dict[tuple[int, ...], float] = {}

    def end(kept: tuple[int, ...], weights: Row, chance: float) -> None:
        if not weights.sum() > 0:
            return  # a rule that never refuses here
        for token, share in enumerate((weights / weights.sum()).tolist()):
            if share:
                text = (*kept, token)
                found[text] = found.get(text, 0.0) + chance * share

    def draft(kept: tuple[int, ...], chance: float, below: float) -> None:
        """Go on after `kept`; the random number is known to lie in [0, below)."""
        before = torch.tensor((last, *kept))
        if len(kept) == length:
            if rule.extra:
                end(kept, rule.extra(p[before], q[before[:-1]]), chance)
            else:
                found[kept] = found.get(kept, 0.0) + chance
            return
        here, guess = p[before[-1]], q[before[-1]]
        weights = rule.drafted(guess)
        for token, share in enumerate((weights / weights.sum()).tolist()):
            if not share:
                continue
            level = min(rule.accept(here, guess, token), below)
            a = level / below
            if a > 0:
                draft((*kept, token), chance * share * a, level if rule.one_u else 1.0)
            if a < 1:
                end(kept, rule.refused(here, guess, token), chance * share * (1 - a))

    draft((), 1.0, 1.0)
    return found


def law(
    rule: Rule, p: Table, q: Table, *, first: int, drafted: int
) -> Float[Tensor, " texts"]:
    """The probability of every text of `drafted` + 1 tokens after `first`.

    In the order of the tokens, the last one fastest. However many passes it takes.
    """
    vocabulary, size = len(p), drafted + 1
    total = torch.zeros((vocabulary,) * size, dtype=torch.float64)
    passes = [one_pass(rule, p, q, last, drafted) for last in range(vocabulary)]

    def go(text: tuple[int, ...], last: int, chance: float) -> None:
        for written, share in passes[last].items():
            longer = text + written
            if len(longer) < size:
                go(longer, longer[-1], chance * share)
            else:
                total[longer[:size]] += chance * share

    go((), first, 1.0)
    return total.flatten()


def target_law(p: Table, *, first: int, tokens: int) -> Float[Tensor, " texts"]:
    """The same of the target alone: Π p(y_i | y_{i−1})."""
    total = p[first]
    for _ in range(tokens - 1):
        total = total[..., None] * p
    return total.flatten()


def write(
    rule: Rule,
    p: Table,
    q: Table,
    generator: torch.Generator,
    *,
    first: int,
    drafted: int,
) -> tuple[tuple[int, ...], int]:
    """Draw a text of at least `drafted` + 1 tokens by a rule; count its passes."""

    def chance() -> float:
        return float(torch.rand((), generator=generator, dtype=torch.float64))

    text, passes = [first], 0
    while len(text) < drafted + 2:
        passes, u = passes + 1, chance()
        before = text[-1:]
        for _ in range(drafted):
            here, guess = p[before[-1]], q[before[-1]]
            token = draw(rule.drafted(guess), generator)
            if u < rule.accept(here, guess, token):
                before.append(token)
                u = u if rule.one_u else chance()
                continue
            before.append(draw(rule.refused(here, guess, token), generator))
            break
        else:
            if rule.extra:
                rows = torch.tensor(before)
                before.append(draw(rule.extra(p[rows], q[rows[:-1]]), generator))
        text += before[1:]
    return tuple(text[1:]), passes


def chi_squared(
    seen: Int[Tensor, "*runs texts"], expected: Float[Tensor, " texts"]
) -> Float[Tensor, "*runs"]:
    """χ² of counts against probabilities; infinite for a text that cannot be."""
    want = expected * seen.sum(-1, keepdim=True)
    terms = ((seen - want).square() / want).where(want > 0, 0.0)
    impossible = ((want == 0) & (seen > 0)).any(-1)
    return terms.sum(-1).masked_fill(impossible, torch.inf)


def critical(cells: int, level: float = 1e-6) -> float:
    """What χ² of so many cells exceeds with probability `level`. ValueError below 2.

    The upper tail of χ² with k degrees of freedom is Γ(k/2, x/2) / Γ(k/2).
    """
    if not (cells >= 2 and 0 < level < 1):
        raise ValueError(f"cells={cells}, level={level}")
    half = torch.tensor((cells - 1) / 2, dtype=torch.float64)
    low, high = 0.0, 1000.0 + 10 * cells
    for _ in range(200):
        middle = (low + high) / 2
        x = torch.tensor(middle / 2, dtype=torch.float64)
        tail = torch.special.gammaincc(half, x)
        low, high = (middle, high) if tail > level else (low, middle)
    return high


def power(
    truth: Float[Tensor, " texts"],
    expected: Float[Tensor, " texts"],
    *,
    runs: int,
    level: float = 1e-6,
    repeats: int = 2000,
    seed: int = 0,
) -> float:
    """How often the test refuses: `runs` texts with the law `truth`, `repeats` times.

    It refuses where χ² against `expected` is beyond `critical`.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = truth.multinomial(runs * repeats, replacement=True, generator=generator)
    drawn = drawn.view(repeats, runs) + len(truth) * torch.arange(repeats)[:, None]
    seen = drawn.flatten().bincount(minlength=repeats * len(truth))
    statistic = chi_squared(seen.view(repeats, -1), expected)
    limit = critical(int((expected > 0).sum()), level)
    return float((statistic > limit).double().mean())
