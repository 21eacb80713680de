import importlib.util
import json
import math
import shutil
import subprocess
from importlib.metadata import version

import pytest

from lib.bench import Run, recall, record
from lib.bench.record import LIB, commit_here


def run_of(name, folder, **more):
    return Run.from_checkout(name, f"python -m lib.bench {name}", folder=folder, **more)


def test_what_is_recorded_is_recalled_with_its_provenance(tmp_path):
    results = {"bits": [4, 3], "perplexity": [36.0, 80.5]}
    path = record(run_of("rtn_4", tmp_path), results, protocol="two windows")
    back = recall("rtn_4", folder=tmp_path)
    assert back.results == results and back.protocol == "two windows"
    assert back.command == "python -m lib.bench rtn_4" and back.seed == 0
    assert back.versions["torch"] == version("torch")
    assert back.device and back.commit and back.device in back.provenance()
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "a draft was left"


def test_a_commit_is_recorded_as_given_or_as_git_says(tmp_path):
    record(run_of("copied", tmp_path, commit="1a2b3c4"), {}, protocol="")
    assert recall("copied", folder=tmp_path).commit == "1a2b3c4 (given)"
    record(run_of("at_home", tmp_path), {}, protocol="")
    assert recall("at_home", folder=tmp_path).commit == commit_here()


def test_a_file_from_before_commands_were_recorded_is_read(tmp_path):
    path = record(run_of("old", tmp_path), {}, protocol="")
    old = json.loads(path.read_text())
    del old["command"], old["seed"]
    path.write_text(json.dumps(old))
    back = recall("old", folder=tmp_path)
    assert back.command == "" and back.seed is None


def git(folder, *arguments):
    who = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True)


@pytest.fixture
def copied(tmp_path):
    """A module `record` of a small copy of `lib`, which git does not know."""
    for name in ("bench/record.py", "kernels/core/tiles.json"):
        target = tmp_path / "lib" / name
        target.parent.mkdir(parents=True)
        shutil.copy(LIB / name, target)
    path = tmp_path / "lib/bench/record.py"
    spec = importlib.util.spec_from_file_location("copied_record", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["bench/record.py", "kernels/core/tiles.json"])
def test_a_changed_file_is_refused_but_elsewhere(name, copied, tmp_path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "all")
    clean = copied.Run.from_checkout("int4", "")
    assert clean.commit == copied.commit_here() and not clean.commit.endswith("+")
    with (tmp_path / "lib" / name).open("a") as changed:
        changed.write("\n")
    with pytest.raises(ValueError, match=rf"uncommitted changes \(lib/{name}\)"):
        copied.Run.from_checkout("int4", "")
    elsewhere = copied.Run.from_checkout("int4", "", folder=tmp_path)
    assert elsewhere.commit == clean.commit + "+"
    git(tmp_path, "commit", "-qam", "changed")
    assert copied.Run.from_checkout("int4", "").commit != clean.commit


def test_a_runs_own_file_is_no_change(copied, tmp_path):
    copied.record(copied.Run("int4", "", "1a2b3c4"), {}, protocol="")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "all")
    before = copied.Run.from_checkout("int4", "")
    copied.record(before, {"rows": 1}, protocol="")
    assert copied.Run.from_checkout("nf4", "").commit == before.commit


def test_a_commit_is_given_where_git_knows_none_and_only_there(copied, tmp_path):
    with pytest.raises(ValueError, match="say --commit"):
        copied.Run.from_checkout("int4", "")
    given = copied.Run.from_checkout("int4", "", commit="1a2b3c4")
    assert given.commit == "1a2b3c4 (given)"
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "all")
    with pytest.raises(ValueError, match=r"1a2b3c4: git knows this copy"):
        copied.Run.from_checkout("int4", "", commit="1a2b3c4")


def test_recording_again_replaces(tmp_path):
    for value in (1.0, 2.0):
        record(run_of("twice", tmp_path), {"value": value}, protocol="")
    assert recall("twice", folder=tmp_path).results == {"value": 2.0}


@pytest.mark.parametrize("name", ["", "../escape", "Two Words", "_hidden", "x.json"])
def test_a_name_is_a_plain_word(name, tmp_path):
    with pytest.raises(ValueError, match="must be lower-case"):
        run_of(name, tmp_path)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_json_cannot_hold_are_refused(value, tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        record(run_of("bad", tmp_path), {"value": value}, protocol="")
    assert not list(tmp_path.iterdir())


def test_a_missing_measurement_lists_what_there_is(tmp_path):
    (tmp_path / "kept.json").write_text(json.dumps({}))
    with pytest.raises(ValueError, match=r"no measurement named 'lost'.*kept"):
        recall("lost", folder=tmp_path)
