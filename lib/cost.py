"""What a language model costs: memory, money, energy, carbon, and time on a machine.

    memory = bits / 8 · parameters                   energy = GPU hours · watts · PUE
    carbon = energy · carbon intensity of the grid

    K tokens through an N x N layer (the roofline):
    bytes = N² w / 8 + 2 K N a / 8,  operations = 2 K N²,
    time >= max(bytes / bandwidth, operations / peak rate)

A multiply-add counts as two operations; giga, tera are powers of ten. The roofline is a
bound: it forgives caches, launches and every kernel's imperfection.

Read in order: `memory_bytes`, `Price`, `TrainingRun`, `Machine`, `Layer`.
Taught in notebooks/01.
Source: Williams, Waterman & Patterson 2009, "Roofline", doi:10.1145/1498765.1498785.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

GIGA, TERA = 1e9, 1e12
Number = int | float


def _positive(**quantities: Number) -> None:
    """Raise ValueError for the first that is not a finite number above zero."""
    for name, value in quantities.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name}={value} must be finite and more than 0")


def _not_negative(**quantities: Number) -> None:
    """Raise ValueError for the first that is not a finite number, zero or above."""
    for name, value in quantities.items():
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name}={value} must be finite and 0 or more")


def memory_bytes(parameters: Number, bits: Number) -> float:
    """Bytes that `parameters` numbers of `bits` bits take (bits may be a mean)."""
    _positive(parameters=parameters, bits=bits)
    return bits / 8 * parameters


@dataclass(frozen=True)
class Price:
    """What a provider asks, in dollars for a million tokens read and written."""

    input_per_million: Number
    output_per_million: Number

    def __post_init__(self) -> None:
        """Refuse negative prices."""
        _not_negative(**vars(self))

    def call(self, input_tokens: int, output_tokens: int) -> float:
        """Dollars for one call."""
        _not_negative(input_tokens=input_tokens, output_tokens=output_tokens)
        dollars = input_tokens * self.input_per_million
        return (dollars + output_tokens * self.output_per_million) / 1e6


# As the deck quotes them; what a provider asks changes, the arithmetic doesn't.
PRICES = {"gpt-4o": Price(5.00, 15.00), "gpt-4o-mini": Price(0.15, 0.60)}


@dataclass(frozen=True)
class TrainingRun:
    """GPU hours and the power of each GPU: enough for energy and carbon."""

    gpu_hours: Number
    watts: Number  # of one GPU

    def __post_init__(self) -> None:
        """Refuse what is not positive."""
        _positive(**vars(self))

    def energy_kwh(self, pue: Number = 1.0) -> float:
        """Kilowatt hours; `pue` is what the building draws for each watt computing.

        ValueError for a `pue` below 1.
        """
        if not (math.isfinite(pue) and pue >= 1):
            raise ValueError(
                f"pue={pue} must be 1 or more: a building adds, never saves"
            )
        return self.gpu_hours * self.watts / 1000 * pue

    def carbon_tonnes(self, kg_per_kwh: Number, pue: Number = 1.0) -> float:
        """Tonnes of CO2 equivalent on a grid that emits `kg_per_kwh`."""
        _not_negative(kg_per_kwh=kg_per_kwh)
        return self.energy_kwh(pue) * kg_per_kwh / 1000


# Touvron et al. 2023, arXiv:2307.09288, table 2: the deck's table.
LLAMA_2 = {
    "7B": TrainingRun(184_320, 400),
    "13B": TrainingRun(368_640, 400),
    "34B": TrainingRun(1_038_336, 350),
    "70B": TrainingRun(1_720_320, 400),
}


@dataclass(frozen=True)
class Machine:
    """An accelerator: memory (bytes), bandwidth (bytes/s), dense peaks (operations/s).

    `peaks` holds what it multiplies natively, by format. Where 2:4 sparse weights
    double a rate, data sheets like to print the double: `sparse_peak` gives it.
    """

    name: str
    memory: Number
    bandwidth: Number
    peaks: Mapping[str, Number]
    sparse_formats: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what is not positive, and freeze the table of peaks."""
        _positive(memory=self.memory, bandwidth=self.bandwidth, **self.peaks)
        object.__setattr__(self, "peaks", MappingProxyType(dict(self.peaks)))

    def peak(self, format: str) -> float:
        """Dense operations a second in `format`; ValueError where it has no unit."""
        if format not in self.peaks:
            raise ValueError(
                f"{self.name} multiplies no {format}: it has {', '.join(self.peaks)}"
            )
        return self.peaks[format]

    def sparse_peak(self, format: str) -> float:
        """Operations a second when half the weights, 2 of every 4, are zero.

        ValueError for a `format` that gains nothing from them.
        """
        if format not in self.sparse_formats:
            raise ValueError(f"{self.name} gains nothing from 2:4 zeros in {format}")
        return 2 * self.peak(format)

    def ridge(self, format: str) -> float:
        """Operations a byte at which computing takes as long as moving."""
        return self.peak(format) / self.bandwidth


def _tera(**peaks: Number) -> dict[str, Number]:
    """Rates given in tera-operations a second."""
    return {format: rate * TERA for format, rate in peaks.items()}


_HALVES = frozenset({"tf32", "bf16", "fp16", "int8"})
# Peaks from the decks. The A100's int8 and fp64, the H200's fp8, and all memories and
# bandwidths but the H100's are from NVIDIA's data sheets. The deck's H100 sheet stars
# its tensor-core rates: they hold for 2:4 sparse weights, and are halved here.
MACHINES = {
    "P100": Machine(
        "P100", 16 * GIGA, 0.732 * TERA, _tera(fp64=5.3, fp32=10.6, fp16=21.2)
    ),
    "A100": Machine(
        "A100",
        40 * GIGA,
        1.555 * TERA,
        _tera(fp64=9.7, fp32=19.5, tf32=156, bf16=312, fp16=312, int8=624),
        _HALVES,
    ),
    "H100": Machine(
        "H100",
        80 * GIGA,
        3.35 * TERA,
        _tera(
            **{"fp64": 34, "fp32": 67, "tf32": 989 / 2, "bf16": 1979 / 2},
            **{"fp16": 1979 / 2, "fp8": 3958 / 2, "int8": 3958 / 2},
        ),
        _HALVES | {"fp8"},
    ),
    "H100 NVL": Machine(
        "H100 NVL",
        94 * GIGA,
        3.9 * TERA,
        _tera(
            **{"fp64": 30, "fp32": 60, "tf32": 835 / 2, "bf16": 1671 / 2},
            **{"fp16": 1671 / 2, "fp8": 3341 / 2, "int8": 3341 / 2},
        ),
        _HALVES | {"fp8"},
    ),
    "H200": Machine(
        "H200",
        141 * GIGA,
        4.8 * TERA,
        _tera(fp64=34, fp32=67, tf32=495, bf16=990, fp16=990, fp8=1980, int8=1980),
        _HALVES | {"fp8"},
    ),
}


@dataclass(frozen=True)
class Layer:
    """K tokens at a time through `width` x `width` weights: bytes, operations, time.

    `weight_bits` and `activation_bits` are as stored; the multiplication runs in the
    format that is named to `seconds`, after dequantization where they differ.
    """

    tokens: int
    width: int
    weight_bits: Number = 16
    activation_bits: Number = 16

    def __post_init__(self) -> None:
        """Refuse what is not positive."""
        _positive(**vars(self))

    @property
    def bytes(self) -> float:
        """The weights once, the inputs in, the outputs out: O(N² + K N)."""
        weights = memory_bytes(self.width**2, self.weight_bits)
        rows = memory_bytes(self.tokens * self.width, self.activation_bits)
        return weights + 2 * rows

    @property
    def operations(self) -> float:
        """A multiplication and an addition for each weight and token: O(K N²)."""
        return 2.0 * self.tokens * self.width**2

    @property
    def intensity(self) -> float:
        """Operations a byte: what `Machine.ridge` is compared with."""
        return self.operations / self.bytes

    def seconds(self, machine: Machine, format: str = "fp16") -> float:
        """The roofline's lower bound, multiplying in `format`."""
        return max(
            self.bytes / machine.bandwidth, self.operations / machine.peak(format)
        )

    def regime(self, machine: Machine, format: str = "fp16") -> str:
        """Which wall the layer meets first: "memory" or "compute"."""
        return "memory" if self.intensity < machine.ridge(format) else "compute"


def turning_tokens(
    machine: Machine,
    width: int,
    *,
    weight_bits: Number = 16,
    activation_bits: Number = 16,
    format: str = "fp16",
) -> float:
    """The K at which a layer turns from memory-bound to compute-bound.

        bytes(K) / bandwidth = operations(K) / peak
        K = N w r / (2 N - 2 a r),  r = ridge, w and a in bytes

    Infinite where the activations alone keep the memory busier than the arithmetic.
    """
    layer = Layer(1, width, weight_bits, activation_bits)
    ridge = machine.ridge(format)
    w, a = layer.weight_bits / 8, layer.activation_bits / 8
    slack = 2 * layer.width - 2 * a * ridge
    return layer.width * w * ridge / slack if slack > 0 else math.inf
