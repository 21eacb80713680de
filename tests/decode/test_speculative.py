"""What comes out has the target's distribution: by enumeration, and by simulation.

The test by simulation is held to its power: every named slip fails it.
"""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.decode import speculative
from lib.decode.sampling import draw
from lib.decode.speculative import expected_tokens, verified

V = 4
P = torch.tensor([0.40, 0.35, 0.25, 0.0], dtype=torch.float64)
Q = torch.tensor([0.10, 0.60, 0.0, 0.30], dtype=torch.float64)
RUNS, DRAFTED = 1600, 2
CRITICAL = 76.2  # χ² of 27 cells, one run in a million


class Chances(torch.Generator):
    """Stands for a generator: counts every outcome of a procedure, with its weight."""

    def __new__(cls, path):
        return super().__new__(cls)

    def __init__(self, path):
        self.path, self.at, self.weight = list(path), 0, 1.0

    def choose(self, weights):
        """One of the alternatives; which one the path says, else the first possible."""
        possible = [i for i, w in enumerate(weights) if w > 0]
        if self.at == len(self.path):
            self.path.append((0, len(possible)))
        which = self.path[self.at][0]
        self.path[self.at] = which, len(possible)
        self.at += 1
        self.weight *= float(weights[possible[which]])
        return possible[which]


def law(procedure):
    """The probability of each result of procedure(chances), by walking all paths."""
    found, path = {}, []
    while True:
        chances = Chances(path)
        result = procedure(chances)
        found[result] = found.get(result, 0.0) + chances.weight
        path = chances.path[: chances.at]
        while path and path[-1][0] + 1 == path[-1][1]:
            path.pop()
        if not path:
            return found
        path[-1] = path[-1][0] + 1, path[-1][1]


class Exactly(float):
    """u: comparing decides by probability, as drawing u from [0, 1) would."""

    chances: Chances

    def __mul__(self, q):
        product = Exactly(float(q))
        product.chances = self.chances
        return product

    def __lt__(self, p):
        accept = min(1.0, float(p) / float(self))
        return self.chances.choose([accept, 1 - accept]) == 0


@pytest.fixture
def by_enumeration(monkeypatch):
    plain = torch.rand

    def rand(*sizes, generator, **how):
        if not isinstance(generator, Chances):
            return plain(*sizes, generator=generator, **how)
        u = Exactly(1.0)
        u.chances = generator
        return u

    def draw_exactly(p, chances):
        return chances.choose((p / p.sum()).tolist())

    monkeypatch.setattr(speculative.torch, "rand", rand)
    monkeypatch.setattr(speculative, "draw", draw_exactly)
    return draw_exactly


def tables(seed, rows):
    """Rows of probabilities, some of them zero."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, V, generator=generator, dtype=torch.float64)
    x = x.where(torch.rand(rows, V, generator=generator) > 0.3, 0)
    x[x.sum(-1) == 0] = 1
    return x / x.sum(-1, keepdim=True)


@pytest.mark.parametrize("seed", range(20))
def test_the_first_token_has_the_targets_law(by_enumeration, seed):
    p, q = tables(seed, 2), tables(seed + 1000, 1)

    def first(chances):
        drafted = by_enumeration(q[0], chances)
        return verified(p, q, [drafted], chances)[0]

    found = law(first)
    for token in range(V):
        assert abs(found.get(token, 0.0) - float(p[0, token])) < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_all_tokens_of_a_pass_have_the_targets_law(by_enumeration, seed):
    """Every K + 1 tokens: what a pass did not write is drawn from the target."""
    p_of = tables(seed, V + 1)  # by the token before; the last row begins
    q_of = tables(seed + 500, V + 1)

    def text(chances):
        drafted, q, last = [], [], V
        for _ in range(DRAFTED):
            q.append(q_of[last])
            last = by_enumeration(q[-1], chances)
            drafted.append(last)
        p = p_of[[V, *drafted]]
        found = verified(p, torch.stack(q), drafted, chances)
        while len(found) < DRAFTED + 1:
            found.append(by_enumeration(p_of[found[-1]], chances))
        return tuple(found)

    found = law(text)
    for tokens in itertools.product(range(V), repeat=DRAFTED + 1):
        want = 1.0
        for before, token in itertools.pairwise((V, *tokens)):
            want *= float(p_of[before, token])
        assert abs(found.get(tokens, 0.0) - want) < 1e-12


# ------------------------------------------------------------------ by simulation


def turned(table, before):
    """The table of what follows `before`: rotated by it, so that rows differ."""
    return table.roll(before)


def simulated(check, generator, draw_draft=draw):
    """One text of three tokens, drafted two at a time, checked by `check`."""
    text = [0]
    while len(text) < 4:
        drafted, q, last = [], [], text[-1]
        for _ in range(DRAFTED):
            q.append(turned(Q, last))
            last = draw_draft(q[-1], generator)
            drafted.append(last)
        p = torch.stack([turned(P, t) for t in [text[-1], *drafted]])
        text += check(p, torch.stack(q), drafted, generator)
    return tuple(text[1:4])


def statistic(check, seed, **how):
    """χ² of all three tokens together; infinite for a text that cannot be."""
    generator = torch.Generator().manual_seed(seed)
    counts = {}
    for _ in range(RUNS):
        text = simulated(check, generator, **how)
        counts[text] = counts.get(text, 0) + 1
    total = 0.0
    for text in itertools.product(range(V), repeat=3):
        share = 1.0
        for before, token in itertools.pairwise((0, *text)):
            share *= float(turned(P, before)[token])
        seen = counts.get(text, 0)
        if share == 0:
            total += float("inf") if seen else 0
        else:
            total += (seen - RUNS * share) ** 2 / (RUNS * share)
    return total


def test_a_text_has_the_targets_law():
    assert statistic(verified, seed=0) < CRITICAL


def slip(*, accept=None, residual=None, extra=None, one_u=False):
    """`verified` with one part replaced."""

    def check(p, q, drafted, generator):
        kept, u = [], None
        for i, token in enumerate(drafted):
            if u is None or not one_u:
                u = float(torch.rand((), generator=generator, dtype=torch.float64))
            ratio = float(p[i, token] / q[i, token])
            if accept(u, ratio, p[i], token) if accept else u < ratio:
                kept.append(token)
                continue
            rest = (
                residual(p[i], q[i], token) if residual else (p[i] - q[i]).clamp(min=0)
            )
            return [*kept, draw(rest, generator)]
        return [*kept, extra(p, q, generator) if extra else draw(p[-1], generator)]

    return check


def without(p, q, token):
    p = p.clone()
    p[token] = 0
    return p


SLIPS = {
    "the residual is p": slip(residual=lambda p, q, t: p),
    "the residual is p without the token": slip(residual=without),
    "the residual is |p − q|": slip(residual=lambda p, q, t: (p - q).abs()),
    "the ratio is upside down": slip(accept=lambda u, r, p, t: u < 1 / max(r, 1e-9)),
    "everything is accepted": slip(accept=lambda u, r, p, t: True),
    "accepted where p ≥ q": slip(accept=lambda u, r, p, t: r >= 1),
    "one u for all": slip(one_u=True),
    "the extra token is the likeliest": slip(extra=lambda p, q, g: int(p[-1].argmax())),
    "the extra token is from q": slip(extra=lambda p, q, g: draw(q[-1], g)),
    "the extra token is from the row before": slip(
        extra=lambda p, q, g: draw(p[-2], g)
    ),
}


@pytest.mark.parametrize("check", SLIPS.values(), ids=SLIPS)
def test_the_test_sees_each_slip(check):
    assert statistic(check, seed=0) > CRITICAL


def test_the_test_sees_a_greedy_draft_with_a_soft_q():
    def greedy(q, generator):
        return int(q.argmax())

    assert statistic(verified, seed=0, draw_draft=greedy) > CRITICAL


def test_the_test_passes_the_rule_written_another_way():
    assert statistic(slip(), seed=0) < CRITICAL


# ------------------------------------------------------------------ edges


def one_hot(*tokens):
    return torch.nn.functional.one_hot(torch.tensor(tokens), V).double()


def test_a_greedy_target_accepts_its_own_tokens_and_no_others():
    generator = torch.Generator().manual_seed(0)
    soft = torch.full((2, V), 0.25, dtype=torch.float64)
    assert verified(one_hot(1, 2, 3), soft, [1, 2], generator) == [1, 2, 3]
    assert verified(one_hot(1, 2, 3), soft, [1, 0], generator) == [1, 2]
    assert verified(one_hot(1, 2, 3), one_hot(0, 2), [0, 2], generator) == [1]


def test_without_a_draft_it_is_a_draw():
    generator = torch.Generator().manual_seed(0)
    nothing = torch.zeros(0, V, dtype=torch.float64)
    assert verified(one_hot(2), nothing, [], generator) == [2]


def test_the_same_distribution_accepts_everything():
    generator = torch.Generator().manual_seed(0)
    for seed in range(200):
        p = tables(seed, 3)
        drafted = [draw(row, generator) for row in p[:2]]
        assert verified(p, p[:2], drafted, generator)[:2] == drafted


def test_what_does_not_fit_is_refused():
    generator = torch.Generator()
    with pytest.raises(ValueError, match="2 rows of p, 2 of q, 2 drafted"):
        verified(one_hot(1, 2), one_hot(1, 2), [1, 2], generator)
    with pytest.raises(ValueError, match="token 3 was not drawn"):
        verified(one_hot(1, 2), one_hot(1), [3], generator)


@given(st.floats(0, 0.999), st.integers(0, 12))
def test_expected_tokens_are_the_closed_form(acceptance, drafted):
    closed = (1 - acceptance ** (drafted + 1)) / (1 - acceptance)
    assert expected_tokens(acceptance, drafted) == pytest.approx(closed)


def test_expected_tokens_at_the_ends():
    assert expected_tokens(1.0, 4) == 5
    assert expected_tokens(0.0, 4) == 1
    with pytest.raises(ValueError, match=r"acceptance=1\.5"):
        expected_tokens(1.5, 2)
