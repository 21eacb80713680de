"""Which tile a kernel works in: a table of measured choices, a rule elsewhere.

Nothing is tuned while a program runs: the same call makes the same sums in the same
order on every day. `python -m lib.bench NAME --tune` measures candidates and saves the
best in tiles.json, the table, which is committed before the kernel is measured.

Read in order: `Tile`, `inside`, `fitted`, `bucket`, `look_up`; `load`, `save`; last
`num_sms`.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tile:
    """The part of y that a program makes, and with how many threads and buffers.

    `splits` programs share the columns, and a second kernel adds their sums in order;
    or, `inside` one program, `splits` warps do. ValueError for sizes that are no powers
    of two, and for splits inside that are not the warps.
    """

    rows: int  # of the weights
    batch: int  # rows of x
    splits: int = 1
    warps: int = 4
    stages: int = 4
    inside: bool = False

    def __post_init__(self):
        for name in ("rows", "batch", "warps"):
            value = getattr(self, name)
            if value < 1 or value & (value - 1):
                raise ValueError(f"{name}={value} is not a power of two")
        if self.splits < 1 or self.stages < 1:
            raise ValueError(f"splits={self.splits}, stages={self.stages}: at least 1")
        if self.inside and self.splits != self.warps:
            raise ValueError(f"splits={self.splits} inside, but warps={self.warps}")

    def grid(self, n: int, m: int) -> tuple[int, int]:
        """Programs for n rows of the weights and m of x."""
        return -(-n // self.rows), -(-m // self.batch)


def inside(rows: int, batch: int, warps: int, stages: int) -> Tile:
    """A tile whose warps share the columns; ValueError as for `Tile`."""
    return Tile(rows, batch, warps, warps, stages, inside=True)


SHARED = 227 << 10  # bytes of shared memory that a program of an H100 may have


def fitted(tile: Tile, shared_bytes: Callable[[Tile], int]) -> Tile:
    """`tile`, or the nearest below it whose program fits a multiprocessor.

    First fewer chunks are on their way, then fewer warps share a program, then it gets
    smaller.
    """
    while shared_bytes(tile) > SHARED:
        if tile.stages > 2:
            tile = replace(tile, stages=tile.stages - 1)
        elif tile.inside and tile.warps > 2:
            tile = inside(tile.rows, tile.batch, tile.warps // 2, tile.stages)
        elif tile.batch > 16:
            tile = replace(tile, batch=tile.batch // 2)
        else:
            tile = replace(tile, rows=tile.rows // 2)
    return tile


TABLE = Path(__file__).with_name("tiles.json")
Key = tuple[str, str, str]  # operation, device, bucket


def load(table: Path = TABLE) -> dict[Key, Tile]:
    """The measured tiles of a table."""
    rows = json.loads(table.read_text())
    return {tuple(row["key"]): Tile(**row["tile"]) for row in rows}


MEASURED: dict[Key, Tile] = load()


def save(table: Path = TABLE) -> None:
    """Write `MEASURED` to a table, one tile a line."""
    rows = [{"key": key, "tile": asdict(MEASURED[key])} for key in sorted(MEASURED)]
    text = ",\n".join(json.dumps(row) for row in rows)
    table.write_text(f"[\n{text}\n]\n")


def power_above(number: int) -> int:
    """The least power of two that is not below `number`."""
    return 1 << max(number - 1, 0).bit_length()


@cache
def bucket(m: int, n: int, k: int) -> str:
    """The name of the sizes that share a tile: each rounded up to a power of two."""
    return "x".join(str(power_above(size)) for size in (m, n, k))


def look_up(operation: str, x: Tensor, n: int, k: int) -> Tile | None:
    """The measured tile for x (m, k) times n rows, or None where there is none."""
    if not x.is_cuda:
        return None
    sizes = bucket(x.shape[0], n, k)
    return MEASURED.get((operation, _properties(x.device).name, sizes))


def num_sms(x: Tensor) -> int:
    """How many streaming multiprocessors there are where x lives; 1 on a CPU."""
    if not x.is_cuda:
        return 1
    return _properties(x.device).multi_processor_count


@cache
def _properties(device: torch.device) -> Any:
    """What a GPU says of itself, asked once: a call of a kernel has no time for it."""
    return torch.cuda.get_device_properties(device)
