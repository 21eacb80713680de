"""Lecture 13's measurements: rows differ in what they say, and nothing else moves."""

import argparse
import json

import pytest
import torch
from torch import nn

from lib.bench.distilling import (
    halves,
    large_vocabulary,
    letters,
    policies,
    self_instruct,
    soft,
    traces,
)
from lib.bench.distilling.seeds import by_seed
from lib.bench.record import Run
from lib.distill.instruct.propose import answer_loss
from lib.distill.intermediate import from_layers
from lib.distill.losses import Objective
from lib.distill.reasoning.rationale import LAYOUTS


@pytest.fixture
def run(tmp_path):
    return Run("trial", "python -m lib.bench trial", "abc", tmp_path)


def rows_in(run):
    return json.loads((run.folder / "trial.json").read_text())["results"]["rows"]


def test_seeds_of_this_commit_are_not_measured_again(run):
    calls = []

    def measure(seed):
        calls.append(seed)
        return {"twice": 2 * seed}

    assert by_seed(run, 2, measure, "p") and by_seed(run, 4, measure, "p")
    assert calls == [0, 1, 2, 3]
    assert [row["twice"] for row in rows_in(run)] == [0, 2, 4, 6]
    by_seed(Run(run.name, run.command, "def", run.folder), 1, measure, "p")
    assert calls[4:] == [0], "another commit measures anew"


def test_the_letters_task_has_a_distribution_as_its_teacher():
    plays = letters.plays()
    text = plays.text(500)
    assert text.shape == (500 - letters.SEEN, letters.SEEN + 1)
    p = plays.logits(text[:, :-1]).softmax(-1)
    assert torch.allclose(p.sum(-1), torch.ones(len(p), dtype=p.dtype))
    hard = soft.likeliest(text[:, :-1]).softmax(-1)
    assert torch.equal(hard.argmax(-1), p.argmax(-1)) and hard.max(-1).values.min() == 1
    with pytest.raises(ValueError, match="without a teacher"):
        letters.fit(nn.Identity(), text, seed=0, objective=Objective())


def test_a_student_of_letters_is_made_by_its_seed_alone():
    torch.manual_seed(3)
    first = letters.LetterNet(9, seed=1)
    after = torch.rand(2)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(2), after), "the caller's draws are untouched"
    again, other = letters.LetterNet(9, seed=1), letters.LetterNet(9, seed=2)
    assert torch.equal(first.out.weight, again.out.weight)
    assert not torch.equal(first.out.weight, other.out.weight)


def test_halves_differ_in_their_start_only(tiny_llama):
    copied, drawn = (halves.half(tiny_llama, copied=c, seed=0) for c in (True, False))
    layer = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(copied.get_parameter(layer), tiny_llama.get_parameter(layer))
    assert not torch.equal(copied.get_parameter(layer), drawn.get_parameter(layer))
    for one in (copied, drawn):
        assert one.get_input_embeddings().weight is tiny_llama.lm_head.weight
        learned = {name for name, p in one.named_parameters() if p.requires_grad}
        assert not any("embed" in name or "lm_head" in name for name in learned)
        assert learned
    windows = torch.arange(36).view(3, 12)
    assert halves.score(tiny_llama, tiny_llama, windows)["agreement"] == 1


def test_sums_are_looked_at_on_the_way(monkeypatch):
    monkeypatch.setattr(traces, "STEPS", 4)
    monkeypatch.setattr(traces, "LOOKS", 2)
    monkeypatch.setattr(traces, "TRAINED", 100)
    monkeypatch.setattr(traces, "MEASURED", 20)
    found = traces.measure(0)
    assert set(found) == set(LAYOUTS)
    for row in found.values():
        assert len(row["looks"]) == len(row["losses"]) == 2
        assert row["exact_match"] == row["looks"][-1]


def test_ways_of_a_large_vocabulary_have_one_gradient():
    problem = large_vocabulary.Problem.drawn(large_vocabulary.SMALL, "cpu")
    true = large_vocabulary.exact(problem, rows=24)
    for way in ("ours_512", "torch"):
        row = large_vocabulary.measure(problem, true, large_vocabulary.WAYS[way])
        assert max(row["errors"].values()) < 2e-2 and row["ms"] > 0
    wrong = large_vocabulary.measure(
        problem, true, lambda p: 2 * large_vocabulary.plain(p)
    )
    assert min(wrong["errors"].values()) > 0.5
    gone = large_vocabulary.measure(problem, true, lambda p: p.nothing)
    assert "AttributeError" in gone["error"]


def test_five_ways_go_on_from_one_start(run, monkeypatch):
    starts = []
    train = policies.train

    def watched(student, *arguments, **options):
        starts.append(student.model.layers[0].mlp.up_proj.weight.detach().clone())
        return train(student, *arguments, **options)

    monkeypatch.setattr(policies, "train", watched)
    short = letters.play("macbeth")[:9000]  # to cut all of the plays takes seconds
    monkeypatch.setattr(policies.corpus, "training_text", lambda: {"plays": short})
    monkeypatch.setattr(policies, "play", lambda name: short[:4000])
    assert policies.main(run, "policies", argparse.Namespace(seeds=1, small=True))
    first, *others = starts
    assert len(others) == 5 and all(torch.equal(others[0], w) for w in others)
    assert not torch.equal(first, others[0]), "the start was trained"
    (row,) = rows_in(run)
    assert row["teacher"]["KL(p ‖ q)"] == row["teacher"]["KL(q ‖ p)"] == 0
    ends = [way["KL(p ‖ q)"] for way in row["ways"].values()]
    assert len(set(ends)) == 6 and min(ends) > 0


def test_a_half_that_learns_leaves_what_it_shares_as_it_was(tiny_llama):
    before = {name: p.clone() for name, p in tiny_llama.named_parameters()}
    rows = torch.arange(40).repeat(4, 1)
    student = from_layers(tiny_llama, [0])
    layer = student.model.layers[0].mlp.up_proj.weight
    first = answer_loss(student, rows).item()
    self_instruct.trained(student, rows, 3, 1e-2, self_instruct.TRIAL, seed=0)
    assert answer_loss(student, rows).item() < first
    assert not torch.equal(layer, before["model.layers.0.mlp.up_proj.weight"])
    for name, p in tiny_llama.named_parameters():
        assert torch.equal(p, before[name]), name
