"""What comes out has the target's distribution: by enumeration, and by simulation."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.bench.drafts.power import DRAFTED, FIRST, TABLES
from lib.decode import speculative
from lib.decode.law import chi_squared, critical, target_law
from lib.decode.sampling import draw
from lib.decode.speculative import expected_tokens, verified

V, RUNS = 4, 1600


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


def test_a_pass_yields_as_many_tokens_as_it_must(by_enumeration):
    """A forgotten extra token biases nothing: only this count shows it."""
    p, q = tables(7, 1).expand(4, V), tables(8, 1).expand(3, V)
    acceptance = float(torch.minimum(p[0], q[0]).sum())
    assert 0.1 < acceptance < 0.9

    def written(chances):
        drafted = [by_enumeration(row, chances) for row in q]
        return len(verified(p, q, drafted, chances))

    found = law(written)
    mean = sum(count * share for count, share in found.items())
    assert mean == pytest.approx(expected_tokens(acceptance, 3), abs=1e-12)


# ------------------------------------------------------------------ by simulation


def simulated(generator, p_of, q_of):
    """One text of three tokens, drafted two at a time."""
    text = [FIRST]
    while len(text) < DRAFTED + 2:
        before, drafted = text[-1:], []
        for _ in range(DRAFTED):
            drafted.append(draw(q_of[before[-1]], generator))
            before.append(drafted[-1])
        text += verified(p_of[before], q_of[before[:-1]], drafted, generator)
    return text[1 : DRAFTED + 2]


def test_a_text_has_the_targets_law():
    """A test that sees every slip of `SLIPS`: tests/decode/test_law.py."""
    p, q = TABLES
    generator = torch.Generator().manual_seed(0)
    texts = torch.tensor([simulated(generator, p, q) for _ in range(RUNS)])
    places = texts @ torch.tensor([V * V, V, 1])
    want = target_law(p, first=FIRST, tokens=DRAFTED + 1)
    seen = places.bincount(minlength=len(want))
    assert chi_squared(seen, want) < critical(int((want > 0).sum()))


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
