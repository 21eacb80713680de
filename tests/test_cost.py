import math
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.cost import (
    LLAMA_2,
    MACHINES,
    PRICES,
    Layer,
    Machine,
    Price,
    TrainingRun,
    memory_bytes,
    turning_tokens,
)

H100 = MACHINES["H100"]
TOKENS, WIDTHS = st.integers(1, 10**6), st.integers(64, 2**15)
BITS = st.sampled_from([1, 2, 3, 4, 4.25, 8, 16, 32])


def test_the_decks_memory_of_70_billion():
    gigabytes = [memory_bytes(70e9, bits) / 1e9 for bits in (64, 32, 16, 4)]
    assert gigabytes == [560, 280, 140, 35]


def test_the_decks_prices():
    calls = 10_000
    large, small = (price.call(100, 500) for price in PRICES.values())
    assert large == pytest.approx(0.008) and large * calls == pytest.approx(80.00)
    assert small == pytest.approx(0.000315) and small * calls == pytest.approx(3.15)


def test_the_decks_table_of_llama_2():
    assert sum(run.gpu_hours for run in LLAMA_2.values()) == 3_311_616
    printed = {"7B": 31.22, "13B": 62.44, "34B": 153.90, "70B": 291.42}
    for size, tonnes in printed.items():
        # 0.385 kg/kWh and a PUE of 1.1, as for the first LLaMA; printed to a hundredth.
        assert LLAMA_2[size].carbon_tonnes(0.385, pue=1.1) == pytest.approx(
            tonnes, abs=0.011
        )


def test_the_decks_peaks():
    tera = {
        name: {f: p / 1e12 for f, p in m.peaks.items()} for name, m in MACHINES.items()
    }
    assert tera["P100"] == {"fp64": 5.3, "fp32": 10.6, "fp16": 21.2}
    assert tera["H200"] | {"fp8": 1980} == {
        **{"fp64": 34, "fp32": 67, "tf32": 495, "bf16": 990, "fp16": 990},
        **{"fp8": 1980, "int8": 1980},
    }
    printed = {"tf32": 989, "bf16": 1979, "fp16": 1979, "fp8": 3958, "int8": 3958}
    for name, rate in printed.items():  # the sheet's starred numbers
        assert H100.sparse_peak(name) == pytest.approx(rate * 1e12)
    sparse = {"tf32": 312, "bf16": 624, "fp16": 624}
    for name, rate in sparse.items():
        assert MACHINES["A100"].sparse_peak(name) == pytest.approx(rate * 1e12)


@given(TOKENS, WIDTHS, BITS, BITS)
def test_the_roofline_is_below_neither_wall_and_touches_one(k, n, w, a):
    layer = Layer(k, n, w, a)
    memory, compute = layer.bytes / H100.bandwidth, layer.operations / H100.peak("fp16")
    seconds = layer.seconds(H100)
    assert seconds >= memory and seconds >= compute and seconds in (memory, compute)
    assert (layer.regime(H100) == "memory") == (memory > compute) or math.isclose(
        memory, compute
    )


@given(WIDTHS, BITS, st.sampled_from([8, 16]), st.sampled_from(["fp16", "int8"]))
def test_at_the_turn_both_walls_take_equally_long(n, w, a, format):
    turn = turning_tokens(H100, n, weight_bits=w, activation_bits=a, format=format)
    if math.isinf(turn):
        layer = Layer(10**12, n, w, a)
        assert layer.regime(H100, format) == "memory"
        return
    bytes_ = n * n * w / 8 + 2 * turn * n * a / 8
    memory, compute = bytes_ / H100.bandwidth, 2 * turn * n**2 / H100.peak(format)
    assert memory == pytest.approx(compute, rel=1e-9)


def test_a_layer_by_hand():
    layer = Layer(tokens=2, width=4, weight_bits=8, activation_bits=16)
    assert layer.bytes == 16 + 2 * 16, "weights, inputs, outputs"
    assert layer.operations == 2 * 2 * 16 and layer.intensity == 64 / 48
    machine = Machine("X", 1.0, bandwidth=10.0, peaks={"fp16": 20.0, "int8": 5.0})
    assert machine.ridge("fp16") == 2 and machine.ridge("int8") == 0.5
    assert layer.seconds(machine) == 4.8 and layer.regime(machine) == "memory"
    assert layer.seconds(machine, "int8") == 64 / 5
    assert layer.regime(machine, "int8") == "compute"


def test_where_weight_only_and_full_quantization_pay():
    """C times at K = 1 for both; at large K nothing, and what the int8 unit gives."""
    n = 8192
    one, many = Layer(1, n), Layer(100_000, n)
    weight_only = [Layer(k, n, weight_bits=4).seconds(H100) for k in (1, 100_000)]
    assert one.seconds(H100) / weight_only[0] == pytest.approx(4, rel=1e-2)
    assert many.seconds(H100) == weight_only[1]
    full = [Layer(k, n, 8, 8).seconds(H100, "int8") for k in (1, 100_000)]
    assert one.seconds(H100) / full[0] == pytest.approx(2)
    assert many.seconds(H100) / full[1] == pytest.approx(2)


def test_latency_is_flat_in_k_and_then_linear():
    flat = [Layer(k, 8192).seconds(H100) for k in (1, 2, 64)]
    assert max(flat) / min(flat) < 1.02
    steep = Layer(8192, 8192).seconds(H100), Layer(16384, 8192).seconds(H100)
    assert steep[1] / steep[0] == pytest.approx(2)


def test_frozen_all_the_way():
    with pytest.raises(FrozenInstanceError):
        H100.bandwidth = 1.0
    with pytest.raises(TypeError):
        H100.peaks["fp16"] = 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: memory_bytes(-1, 16), r"parameters=-1 must be finite"),
        (lambda: memory_bytes(7e9, 0), r"bits=0 must be finite and more than 0"),
        (lambda: memory_bytes(math.nan, 4), r"parameters=nan"),
        (lambda: Price(-1.0, 2.0), r"input_per_million=-1.0"),
        (lambda: Price(1.0, 2.0).call(-5, 0), r"input_tokens=-5"),
        (lambda: TrainingRun(0, 400), r"gpu_hours=0"),
        (lambda: TrainingRun(10, 400).energy_kwh(0.9), r"pue=0.9 must be 1 or more"),
        (lambda: TrainingRun(10, 400).carbon_tonnes(-0.1), r"kg_per_kwh=-0.1"),
        (lambda: Machine("X", 1e9, 0.0, {}), r"bandwidth=0.0"),
        (lambda: Machine("X", 1e9, 1e9, {"fp16": math.inf}), r"fp16=inf"),
        (
            lambda: MACHINES["P100"].peak("int8"),
            r"P100 multiplies no int8: it has fp64",
        ),
        (
            lambda: H100.sparse_peak("fp32"),
            r"H100 gains nothing from 2:4 zeros in fp32",
        ),
        (lambda: Layer(0, 64), r"tokens=0"),
        (lambda: Layer(1, 64, weight_bits=-4), r"weight_bits=-4"),
    ],
)
def test_impossible_quantities_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
