"""The table's rows are all different, and an interrupted run goes on where it was."""

import argparse
import json

import pytest

from lib.bench.pruning import lottery
from lib.bench.pruning import unstructured as pruning
from lib.bench.record import Run


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
