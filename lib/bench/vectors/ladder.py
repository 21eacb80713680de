"""The ladder of distortion: what b bits a number leave of N(0, 1), by code.

    python -m lib.bench ladder

    Lloyd-Max ≥ E8P ≥ additive, trellis ≥ D(R) = 2^(−2R)

Each code at its best scale, found on other draws. Rows name the code, its bits,
and the mean squared error of each seed; nothing has constants to count, but additive
codebooks, which are fitted on other draws too. `rings` says what closing a ring costs.

Read in order: `ladder`, `rings`, `main`.
"""

import argparse
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lib.bench.record import Run, processor_name, record
from lib.progress import progress
from lib.quant.additive.beam import search_codes
from lib.quant.additive.books import fit_books
from lib.quant.additive.kmeans import residual_kmeans
from lib.quant.additive.matrix import sum_of_entries
from lib.quant.codebooks.codebook import lloyd, nearest, quantile_levels
from lib.quant.lattices.codes import E8Code
from lib.quant.trellis.bitshift import Trellis
from lib.quant.trellis.node_values import KINDS, node_values
from lib.quant.trellis.viterbi import exact_ring, ring_viterbi, viterbi

SEEDS = (0, 1, 2)
ROWS, LENGTH = 64, 256  # of each seed's draws
FITTED = 2**18  # draws that levels and codebooks are fitted on
ROUNDS, WIDTH = 8, 32  # of additive codes' fit, and of their beam
SCALES = (0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2)
Code = Callable[[Tensor], Tensor]  # x (rows, length) -> x̂


def drawn(seed: int, rows: int = ROWS, length: int = LENGTH) -> Tensor:
    """Draws from N(0, 1), float32."""
    return torch.randn(rows, length, generator=torch.Generator().manual_seed(seed))


def scaled(code: Code, fit: Tensor) -> tuple[Code, float]:
    """`code` at the one of `SCALES` with the least error on `fit`; and that scale."""

    def error(scale: float) -> float:
        return (fit - scale * code(fit / scale)).square().mean().item()

    best = min(SCALES, key=error)
    return (lambda x: best * code(x / best)), best


def lloyd_max(bits: int) -> Code:
    """The best levels for single numbers."""
    fit = drawn(1000, 1, FITTED)
    levels = lloyd(fit, quantile_levels(fit, 2**bits))

    def code(x: Tensor) -> Tensor:
        flat = x.reshape(1, -1)
        return levels[0][nearest(flat, levels)[0]].view_as(x)

    return code


def lattice(bits: int) -> Code:
    """E8P, or with more bits its refinements."""
    e8 = E8Code(bits)
    return lambda x: e8.decode(e8.encode(x.reshape(-1, 8))).view_as(x)


def additive(bits: int) -> Code:
    """As many books of 256 entries for 8 numbers as there are bits."""
    fit = drawn(1001, FITTED // 1024, 1024)
    h, ones = torch.eye(1024), torch.ones(len(fit))
    generator = torch.Generator().manual_seed(0)
    books, codes = residual_kmeans(fit.view(-1, 8), bits, 256, generator=generator)
    codes = codes.view(len(fit), -1, bits)
    for _ in range(ROUNDS):
        codes = search_codes(fit, h, codes, books, ones, width=WIDTH)
        books = fit_books(fit, h, codes, books, ones)

    def code(x: Tensor) -> Tensor:
        start = torch.zeros(len(x), x.shape[1] // 8, bits, dtype=torch.long)
        eye = torch.eye(x.shape[1])
        for _ in range(2):
            start = search_codes(x, eye, start, books, torch.ones(len(x)), width=WIDTH)
        return sum_of_entries(start, books).flatten(1)

    return code


def trellis(kind: str, state_bits: int, bits: int) -> Code:
    """Rings by two passes."""
    values, shape = node_values(kind, state_bits), Trellis(state_bits, bits)
    return lambda x: values[ring_viterbi(x, values, shape)]


def ladder(state_bits: tuple[int, ...]) -> Iterator[dict]:
    """A row for each code: the mean squared error of each seed."""
    codes: list[tuple[str, int, Callable[[], Code]]] = []
    for bits in (1, 2, 3, 4):
        codes.append(("Lloyd-Max", bits, lambda b=bits: lloyd_max(b)))
        if bits > 1:
            codes.append(("E8", bits, lambda b=bits: lattice(b)))
        codes.append(("additive, 256 of 8", bits, lambda b=bits: additive(b)))
    for kind in KINDS:
        for length in state_bits:
            for bits in (1, 2, 3, 4) if length == max(state_bits) else (2,):
                name = f"trellis {kind}, L = {length}"
                made = (kind, length, bits)
                codes.append((name, bits, lambda made=made: trellis(*made)))
    for name, bits, make in progress(codes, "codes"):
        code, scale = make(), None
        if name.startswith(("E8", "trellis")):
            code, scale = scaled(code, drawn(1002, 24))
        errors = [(x - code(x)).square().mean().item() for x in map(drawn, SEEDS)]
        bound = 2.0 ** (-2 * bits)
        yield {"code": name, "bits": bits, "scale": scale, "mse": errors, "D": bound}


def rings(state_bits: int) -> Iterator[dict]:
    """Free ends, two passes, and for short rings all of them: L = 6; and long ones."""
    for L, length, exact in (
        *((6, n, True) for n in (8, 16, 32)),
        *((state_bits, n, False) for n in (32, 64, 128, 256)),
    ):
        values, shape = node_values("3inst", L), Trellis(L, 2)
        searches = {"free": viterbi, "two_passes": ring_viterbi}
        if exact:
            searches["exact"] = exact_ring
        row: dict = {"L": L, "length": length}
        for name, search in searches.items():
            row[name] = [
                (x - values[search(x, values, shape)]).square().mean().item()
                for x in (drawn(s, ROWS * LENGTH // length, length) for s in SEEDS)
            ]
        yield row


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many bits of state."""
    parser.add_argument("--state-bits", type=int, nargs="+", default=[4, 6, 8, 10, 12])


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure, recording each row as it is there."""
    protocol = (
        f"N(0, 1), seeds {SEEDS}, {ROWS} x {LENGTH} draws each; scales of {SCALES}, "
        f"chosen on 24 x {LENGTH} other draws; codebooks fitted on {FITTED:,} others"
    )
    results: dict[str, list] = {"ladder": [], "rings": []}
    tables = {
        "ladder": ladder(tuple(options.state_bits)),
        "rings": rings(max(options.state_bits)),
    }
    for table, rows in tables.items():
        for row in rows:
            results[table].append(row)
            record(run, results, protocol=protocol, device=processor_name())
    return True
