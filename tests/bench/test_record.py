import json
import math
from importlib.metadata import version

import pytest

from lib.bench import recall, record
from lib.bench.record import commit_here


def test_what_is_recorded_is_recalled_with_its_provenance(tmp_path):
    results = {"bits": [4, 3], "perplexity": [36.0, 80.5]}
    path = record("rtn_4", results, protocol="two windows", folder=tmp_path)
    back = recall("rtn_4", folder=tmp_path)
    assert back.results == results and back.protocol == "two windows"
    assert back.versions["torch"] == version("torch")
    assert back.device and back.commit and back.device in back.provenance()
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "a draft was left"


def test_a_commit_is_recorded_as_given_or_as_git_says(tmp_path):
    record("copied", {}, protocol="", commit="1a2b3c4", folder=tmp_path)
    assert recall("copied", folder=tmp_path).commit == "1a2b3c4"
    record("at_home", {}, protocol="", folder=tmp_path)
    assert recall("at_home", folder=tmp_path).commit == commit_here()


def test_recording_again_replaces(tmp_path):
    for value in (1.0, 2.0):
        record("twice", {"value": value}, protocol="", folder=tmp_path)
    assert recall("twice", folder=tmp_path).results == {"value": 2.0}


@pytest.mark.parametrize("name", ["", "../escape", "Two Words", "_hidden", "x.json"])
def test_a_name_is_a_plain_word(name, tmp_path):
    with pytest.raises(ValueError, match="must be lower-case"):
        record(name, {}, protocol="", folder=tmp_path)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_json_cannot_hold_are_refused(value, tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        record("bad", {"value": value}, protocol="", folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_measurement_lists_what_there_is(tmp_path):
    (tmp_path / "kept.json").write_text(json.dumps({}))
    with pytest.raises(ValueError, match=r"no measurement named 'lost'.*kept"):
        recall("lost", folder=tmp_path)
