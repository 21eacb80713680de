"""What a student is told at midnight; and that honest kernels hear nothing."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def told(result_of, tmp_path_factory):
    return result_of("scenarios.py", tmp_path_factory.mktemp("scenarios"))


def started(before):
    """How `interpreted` ends in a new process that did `before`."""
    loading = "from lib.exercises.kernels import interpreted"
    program = f"import sys\n{before}\n{loading}\ninterpreted()"
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    return done.stderr.strip().splitlines()[-1]


def test_where_triton_is_missing_it_is_said_kindly():
    said = started("sys.modules['triton'] = None")
    assert said.startswith("ImportError: This homework needs Triton, which exists for")


def test_triton_that_came_too_early_is_told(told):
    assert "restart the kernel" in started("import triton.language")


def test_honest_kernels_hear_nothing(told):
    assert told["honest"] and told["strided"] and told["after_all"]
    assert told["launched"] == ["copy", [4, 1, 1], 1000]
    assert told["again"] is None


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("load", "tl.load reads x[1000] … x[1023], and there is only x[0] … x[999]"),
        ("before", "tl.load reads x[-1], and"),
        ("store", "tl.store writes y[1000] … y[1001], and there is only y[0] … y[999]"),
        ("far", "tl.load reads x[1000000000]"),
        ("farther", "an address that is no argument's"),
        ("helped", "tl.load reads x[1000] … x[1023]"),
    ],
)
def test_an_address_outside_has_a_name(told, scenario, said):
    kind, why = told[scenario]
    assert kind == "IndexError" and said in why


def test_the_kernel_the_program_and_the_line_are_told(told):
    why = told["load"][1]
    assert "kernel copied_without_a_mask, program (3, 0, 0):" in why
    assert why.endswith("tl.store(y + at, tl.load(x + at), mask=at < count)")


def test_programs_have_no_order(told):
    for scenario, said in (("race", "tl.store writes y[0]"), ("neighbour", "tl.load")):
        kind, why = told[scenario]
        assert kind == "RuntimeError" and said in why
        assert "program (0, 0, 0) wrote in this launch" in why
    assert told["atomic"] == sum(range(1000))


def test_what_a_function_was_given_is_read_and_never_written(told):
    kind, why = told["given"]
    assert kind == "RuntimeError" and "tl.store writes x[0] … x[255]" in why
    assert "was given x to read" in why and told["after_all"]


def test_a_masked_load_without_other_is_anything(told):
    number, beyond = told["floats"]
    assert number == 2.0 and math.isnan(beyond)
    assert told["bytes"] == [2, 0x55]


def test_other_errors_are_told_with_their_first_cause(told):
    assert told["unwritten"] == [
        "NotImplementedError",
        "the kernel unwritten is not written yet",
    ]
    assert "power of 2" in told["odd_block"][1]
    assert told["argument"][0] == "TypeError"
    assert "a program a block?" in told["crowd"][1]


def test_only_kernels_compute(told):
    assert "asks PyTorch for `add`" in told["computes"][1]
    assert "asks PyTorch for `half`" in told["converts"][1]
    assert "asks PyTorch for `__float__`" in told["peeks"][1]
    assert "launches_nothing launched no kernel" in told["launches_nothing"][1]
    assert "print(x) shows it" in told["formats"][1]
    assert told["prints"] == 0.0
    floats, integers = told["allocates"]
    assert all(map(math.isnan, floats)) and integers == [0x5555] * 2
