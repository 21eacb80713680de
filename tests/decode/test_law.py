"""The exact law of a rule is what the rule draws; the test sees every mistake."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.bench.drafts.power import (
    DRAFTED,
    FAINT,
    FIRST,
    HARMLESS,
    SLIPS,
    TABLES,
    measure,
)
from lib.decode.law import (
    LOSSLESS,
    Rule,
    chi_squared,
    critical,
    law,
    one_pass,
    power,
    target_law,
    write,
)
from lib.decode.speculative import expected_tokens

DRAWN = 200
RULES = SLIPS | FAINT | HARMLESS
WANT = target_law(TABLES[0], first=FIRST, tokens=DRAFTED + 1)


def table(seed, vocabulary):
    """Rows of probabilities, some of them zero."""
    generator = torch.Generator().manual_seed(seed)
    sizes = (vocabulary, vocabulary)
    x = torch.rand(sizes, generator=generator, dtype=torch.float64)
    x = x.where(torch.rand(sizes, generator=generator) > 0.3, 0)
    x[x.sum(-1) == 0] = 1
    return x / x.sum(-1, keepdim=True)


def law_of(rule):
    return law(rule, *TABLES, first=FIRST, drafted=DRAFTED)


@settings(max_examples=30)
@given(st.integers(2, 4), st.integers(1, 3), st.integers(0, 10_000))
def test_the_lossless_rule_has_the_targets_law(vocabulary, drafted, seed):
    p, q = table(seed, vocabulary), table(seed + 1, vocabulary)
    for rule in (LOSSLESS, Rule(extra=None)):
        found = law(rule, p, q, first=0, drafted=drafted)
        want = target_law(p, first=0, tokens=drafted + 1)
        torch.testing.assert_close(found, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_no_mistake_changes_nothing(name):
    torch.testing.assert_close(law_of(HARMLESS[name]), WANT, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_draws_by_its_law(name):
    generator = torch.Generator().manual_seed(1)
    how = {"first": FIRST, "drafted": DRAFTED}
    texts = [write(RULES[name], *TABLES, generator, **how)[0] for _ in range(DRAWN)]
    places = torch.tensor([text[:3] for text in texts]) @ torch.tensor([16, 4, 1])
    expected = law_of(RULES[name])
    assert expected.sum() == pytest.approx(1, abs=1e-12)
    seen = places.bincount(minlength=len(expected))
    # Cells of few texts are taken together, else χ² is not χ²
    few = expected * DRAWN < 3
    seen = torch.cat((seen[~few], seen[few].sum()[None]))
    expected = torch.cat((expected[~few], expected[few].sum()[None]))
    assert chi_squared(seen, expected) < critical(int((expected > 0).sum()))


@pytest.mark.parametrize("name", SLIPS)
def test_the_test_sees_each_slip(name):
    share = power(law_of(SLIPS[name]), WANT, runs=1600)
    assert share > 0.99, f"seen in {share:.1%} of the samples of 1,600 texts"


def test_the_test_lets_the_truth_pass():
    assert power(WANT, WANT, runs=1600) == 0


def test_one_place_fewer_hides_the_extra_token():
    """Why K + 1: among the first K tokens the slips of the extra one have no place."""
    for name in ("extra: from q", "extra: the likeliest", "extra: from the row before"):
        first_two = law_of(SLIPS[name]).view(4, 4, 4).sum(-1)
        want = WANT.view(4, 4, 4).sum(-1)
        torch.testing.assert_close(first_two, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("drafted", [1, 2, 4])
def test_a_forgotten_extra_token_shows_in_the_passes(drafted):
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).expand(3, 3)
    q = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64).expand(3, 3)
    acceptance = 0.6  # 0.2 + 0.2 + 0.2

    def tokens_a_pass(rule):
        texts = one_pass(rule, p, q, 0, drafted)
        return sum(len(text) * share for text, share in texts.items())

    whole = expected_tokens(acceptance, drafted)
    assert tokens_a_pass(LOSSLESS) == pytest.approx(whole, abs=1e-12)
    less = whole - acceptance**drafted
    assert tokens_a_pass(Rule(extra=None)) == pytest.approx(less, abs=1e-12)


def test_passes_are_counted():
    p = q = torch.full((3, 3), 1 / 3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    how = {"first": 0, "drafted": 4}
    text, passes = write(LOSSLESS, p, q, generator, **how)
    assert (len(text), passes) == (5, 1), "a draft that knows needs one pass"
    text, passes = write(Rule(extra=None), p, q, generator, **how)
    assert (len(text), passes) == (8, 2)


@pytest.mark.parametrize("cells", [3, 9, 27, 65])
def test_the_critical_value_is_that_of_the_closed_form(cells):
    """For an even number of degrees of freedom the tail is a sum."""
    half = critical(cells) / 2
    terms = (half**k / math.factorial(k) for k in range((cells - 1) // 2))
    assert math.exp(-half) * sum(terms) == pytest.approx(1e-6, rel=1e-6)


def test_chi_squared_of_numbers_by_hand():
    expected = torch.tensor([0.5, 0.25, 0.25, 0.0], dtype=torch.float64)
    seen = torch.tensor([[6, 1, 1, 0], [4, 2, 1, 1], [4, 2, 2, 0]])
    want = [4 / 4 + 1 / 2 + 1 / 2, math.inf, 0.0]
    assert chi_squared(seen, expected).tolist() == want


def test_what_is_no_level_is_refused():
    with pytest.raises(ValueError, match="cells=1"):
        critical(1)
    with pytest.raises(ValueError, match="level=0"):
        critical(9, 0.0)


def test_a_row_of_the_table_says_how_many_runs_are_enough():
    row = measure(SLIPS["the ratio upside down"])
    assert row["runs_needed"] == 50 and row["total_variation"] > 0.5
    assert measure(LOSSLESS)["runs_needed"] is None
