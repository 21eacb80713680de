"""Every kept file has one benchmark, a command that runs it, and readers that exist."""

import re
import shlex
from collections import Counter

import pytest

from lib.bench import recall
from lib.bench.kernels import table
from lib.bench.record import LIB, RESULTS
from lib.bench.registry import BENCHMARKS, KERNELS, kernels, main, parse

ROOT = LIB.parent
TRIALS = {f"{benchmark.results}_cpu" for benchmark in BENCHMARKS.values()}  # ignored
FILES = sorted({path.stem for path in RESULTS.glob("*.json")} - TRIALS)


def test_every_file_is_written_by_one_benchmark():
    writers = Counter(benchmark.results for benchmark in BENCHMARKS.values())
    assert FILES and {name: writers[name] for name in FILES} == dict.fromkeys(FILES, 1)


@pytest.mark.parametrize("name", FILES)
def test_a_file_records_a_command_that_runs_its_benchmark(name):
    words = shlex.split(recall(name).command, comments=True)
    assert words[:3] == ["python", "-m", "lib.bench"]
    assert not any(word.startswith("/") for word in words)
    benchmark, options, command = parse(words[3:])
    assert benchmark.results == name and not getattr(options, "tune", False)
    assert command == shlex.join(words), "what is parsed is recorded again"


def test_every_reader_names_a_file():
    sources = [
        *(path for path in LIB.rglob("*.py")),
        *(path for path in (ROOT / "tests").rglob("*.py")),
        *(path for path in (ROOT / "notebooks").glob("*.ipynb")),
    ]
    read = {
        name
        for path in sources
        for name in re.findall(r'recall\(\\?"(\w+)\\?"\)', path.read_text())
    }
    assert {"tokens", "int4", "linear_perplexity"} <= read, "the pattern finds them"
    assert read <= set(FILES), f"nobody has measured {read - set(FILES)}"


def test_every_kernels_module_is_a_benchmark():
    modules = (LIB / "bench/kernels").rglob("*.py")
    measuring = {p.stem for p in modules if "\ndef measure(" in p.read_text()}
    assert measuring == set(kernels())


def test_one_word_runs_every_kernel(monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(
        table, "main", lambda run, name, options: ran.append(name) or name != "nf4"
    )
    assert main([KERNELS, "--out", str(tmp_path)]) == 1, "one of them failed"
    assert ran == kernels()


def test_a_table_of_its_own_kind_only(capsys):
    with pytest.raises(SystemExit):
        parse(["ptq_best", "--tables", "methods"])
    assert "best" in capsys.readouterr().err
