"""What the compiler made of each fast kernel, for a Hopper GPU, without one.

    python -m lib.kernels.inspect        # registers, stack, shared bytes, instructions

Four things are worth knowing before a kernel ever runs. Stack bytes are registers that
did not fit and went to memory. LDGSTS.128 are copies of 16 bytes that run ahead in the
background, HMMA and HGMMA the matrix unit's instructions, IMMA and IGMMA those on
integers. STS.128 in a product of 4-bit weights means that decoded weights make a round
trip through shared memory on their way there. A cast has none of these: its
instructions a value decide whether memory stays the limit.

Read in order: `cases`, `main`; an operation's `cases.py`, and core/compile.py.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict

from lib.hopper import Compiled
from lib.kernels.attend import cases as attend
from lib.kernels.cast import cases as cast
from lib.kernels.ends import cases as ends
from lib.kernels.gptq import cases as gptq
from lib.kernels.hessian import cases as hessian
from lib.kernels.int4 import cases as int4
from lib.kernels.int8 import cases as int8
from lib.kernels.nf4 import cases as nf4
from lib.kernels.soft_targets import cases as soft_targets
from lib.kernels.trellis import cases as trellis
from lib.kernels.two_of_four import cases as two_of_four
from lib.kernels.unfold import cases as unfold
from lib.kernels.wanda import cases as wanda
from lib.kernels.xnor import cases as xnor

OPERATIONS = (
    *(int4, nf4, unfold, int8, xnor, ends, attend),
    *(wanda, two_of_four, cast, gptq, hessian, soft_targets, trellis),
)
COLUMNS = (  # of the table: what an instruction's name contains
    *(("HMMA",), ("HGMMA",), ("IMMA",), ("IGMMA",)),
    *(("LDGSTS", "128"), ("STS.128",), ("SHFL",)),
)


def cases() -> Iterator[Compiled]:
    """Every fast kernel, in tiles as the rules choose them for 4096 and 8192 rows."""
    for operation in OPERATIONS:
        yield from operation.cases()


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="everything, as JSON")
    as_json = parser.parse_args().json
    rows = list(cases())
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    titles = " ".join(f"{'.'.join(parts):>10}" for parts in COLUMNS)
    print(f"{'kernel':28} registers stack  shared   all {titles}")
    for row in rows:
        counts = " ".join(f"{row.count(*parts):10}" for parts in COLUMNS)
        total = sum(row.instructions.values())
        print(
            f"{row.name:28} {row.registers:9} {row.stack:5} {row.shared:7} {total:5} "
            f"{counts}"
        )


if __name__ == "__main__":
    main()
