"""The table's rows are all different, and an interrupted run goes on where it was."""

import argparse
import json

import pytest
import torch

from lib.bench.pruning import (
    coarse_fine,
    lottery,
    minitron,
    refits,
    retraining,
    structured,
)
from lib.bench.pruning import unstructured as pruning
from lib.bench.pruning.characters import logits, start, texts
from lib.bench.record import Run
from tests.conftest import llama_of


def options(**more):
    return argparse.Namespace(tables=["rows"], tokens=512, **more)


def test_every_row_has_a_key_of_its_own():
    jobs = pruning.jobs()
    assert len({job.key for job in jobs}) == len(jobs) > 40
    patterns = [job for job in jobs if job.table == "patterns"]
    assert pruning.jobs("patterns") == patterns
    shares = {job.share for job in patterns if job.share is not None}
    assert shares == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}
    both = [job for job in jobs if pruning.row_on_both(job)]
    assert len(both) == 1 + 3 + 3


def test_rows_of_this_commit_and_command_are_not_measured_again(tmp_path, monkeypatch):
    calls = []

    def measure(job, tokens):
        calls.append(job.key)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return {"key": job.key}

    monkeypatch.setattr(pruning, "measure", measure)
    run = Run("pruning", "python -m lib.bench pruning", "abc", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        pruning.main(run, "pruning", options())
    assert pruning.main(run, "pruning", options())
    keys = [job.key for job in pruning.jobs("rows")]
    assert calls == [keys[0], keys[1], keys[1]]
    rows = json.loads((tmp_path / "pruning.json").read_text())["results"]["rows"]
    assert [row["key"] for row in rows] == keys
    other = Run("pruning", "python -m lib.bench pruning", "def", tmp_path)
    pruning.main(other, "pruning", options())
    assert calls[3:] == keys, "another commit measures all of it anew"


def test_schedules_end_at_the_same_sparsity_with_time_to_train():
    for final in (0.8, 0.9):
        for name, schedule in lottery.schedules(final).items():
            course = [schedule(step) for step in range(lottery.MORE)]
            assert sorted(course) == course and course[0] > 0, name
            assert course[-1] == course[2 * lottery.MORE // 3 + 1] == final, name


def test_seeds_of_this_commit_are_not_measured_again(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        lottery, "measure", lambda seed: calls.append(seed) or {"seed": seed}
    )
    run = Run("lottery", "python -m lib.bench lottery", "abc", tmp_path)
    lottery.main(run, "lottery", argparse.Namespace(seeds=2))
    lottery.main(run, "lottery", argparse.Namespace(seeds=3))
    assert calls == [0, 1, 2]


def test_least_layers_go_and_random_scores_are_of_their_seed():
    scores = torch.tensor([3.0, 1.0, 2.0, 1.0])
    assert structured.gone_by(scores, 2) == [1, 3]
    first, again = (structured.at_random(scores, seed=4) for _ in range(2))
    assert torch.equal(first, again)
    gates = structured.gates_without(torch.stack((scores, -scores)), 0.5)
    assert gates.tolist() == [[1, 0, 1, 0], [0, 1, 0, 1]]


def test_a_model_in_half_has_half_its_blocks_weights():
    """By width and by depth, to one neuron of every layer."""
    net = llama_of(num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2)
    windows = torch.arange(30).view(3, 10)
    shape = coarse_fine.shape_of(net)
    for way, half in coarse_fine.halves(net, windows).items():
        left = coarse_fine.shape_of(half).full
        spare = shape.full / 2 - left
        assert 0 <= spare < 3 * shape.layers * shape.hidden, way
    masks = coarse_fine.by_scores(net, windows, 0.6)
    assert coarse_fine.weights_of(shape, **masks) <= 0.6 * shape.full


def test_a_refitted_cut_is_nearer_to_the_net_that_it_came_from():
    net = start(0)
    kept = [torch.arange(0, 512, 4), torch.arange(0, 256, 4)]
    window = texts()[1][: 64 * 8].view(64, 8)
    whole = logits(net, window)
    off = [
        (logits(retraining.cut(net, kept, refit=refit), window) - whole).norm()
        for refit in (False, True)
    ]
    assert off[1] < off[0]
    soft = retraining.distilling(net)(whole, window, torch.zeros(64, dtype=torch.int64))
    assert abs(soft.item()) < 1e-6, "the teacher's own divergence from itself"


def test_a_refit_has_a_row_for_each_share_and_way():
    net = llama_of()
    windows = torch.arange(40).view(4, 10)
    found = list(refits.rows(net, windows[:1], windows, (0.25, 0.5)))
    ways = ["cut", *refits.WAYS]
    keys = [(row["share"], row["way"]) for row in found]
    assert keys == [(share, way) for share in (0.25, 0.5) for way in ways]
    perplexities = [row["perplexity"] for row in found]
    assert len(set(perplexities)) == len(found), "each way changes the model"
    assert torch.tensor(perplexities).isfinite().all()


def test_minitron_gives_up_as_many_weights_in_three_ways(generator):
    """To within the 8 that neurons come in; the refit moves `down_proj` alone."""
    net = llama_of(num_hidden_layers=6, intermediate_size=96, tie_word_embeddings=True)
    size = sum(w.numel() for w in net.model.layers[0].parameters())
    shapes = minitron.shapes(net)
    assert [shapes[name].layers_gone for name in ("width", "depth", "both")] == [
        0,
        2,
        1,
    ]
    plays = torch.randint(40, (3, 16), generator=generator)
    cuts = {name: minitron.cut(net, plays, shape) for name, shape in shapes.items()}
    for name, cut in cuts.items():
        gone = net.num_parameters() - cut.num_parameters()
        layers, hidden = cut.config.num_hidden_layers, cut.config.hidden_size
        assert abs(gone - 2 * size) <= 4 * 3 * hidden * layers, name
    plain = minitron.cut(net, plays, shapes["width"], refit=False).state_dict()
    for name, w in cuts["width"].state_dict().items():
        assert torch.equal(w, plain[name]) == ("down_proj" not in name), name


def test_minitron_s_jobs_differ_and_each_has_its_controls():
    jobs = list(minitron.jobs(2))
    assert len(set(jobs)) == len(jobs)
    trained = {(job.start, job.targets) for job in jobs if job.targets}
    for shape in ("width", "depth", "both", "scratch"):
        assert {(shape, "soft"), (shape, "labels")} <= trained
    assert ("whole", "labels") in trained and ("whole", "soft") not in trained
    rates = {job.rate for job in jobs if job.targets}
    assert rates == set(minitron.RATES)
