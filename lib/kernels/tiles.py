"""Which tile a kernel works in: a table of measured choices, a rule elsewhere.

Nothing is tuned while a program runs: the same call makes the same sums in the same
order on every day. `python -m lib.bench NAME --tune` measures the candidates and prints
the lines of `MEASURED`.

Read in order: `Tile`, `bucket`, `chosen`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tile:
    """The part of y that a program makes, and with how many threads and buffers.

    `splits` programs or warps share the columns, and their sums are added in order.
    """

    rows: int  # of the weights
    batch: int  # rows of x
    splits: int = 1
    warps: int = 4
    stages: int = 4

    def __post_init__(self):
        for name in ("rows", "batch", "warps"):
            value = getattr(self, name)
            if value < 1 or value & (value - 1):
                raise ValueError(f"{name}={value} is not a power of two")
        if self.splits < 1 or self.stages < 1:
            raise ValueError(f"splits={self.splits}, stages={self.stages}: at least 1")


Key = tuple[str, str, str]  # operation, device, bucket
MEASURED: dict[Key, Tile] = {}


def power_above(number: int) -> int:
    """The least power of two that is not below `number`."""
    return 1 << max(number - 1, 0).bit_length()


def bucket(m: int, n: int, k: int) -> str:
    """Sizes that share a choice: each rounded up to a power of two."""
    return "x".join(str(power_above(size)) for size in (m, n, k))


def chosen(operation: str, x: Tensor, n: int, k: int) -> Tile | None:
    """The measured choice for x (m, k) times n rows, or None where there is none."""
    if not x.is_cuda:
        return None
    device = torch.cuda.get_device_name(x.device)
    return MEASURED.get((operation, device, bucket(x.shape[0], n, k)))


def multiprocessors(x: Tensor) -> int:
    """How many programs run side by side where x lives, at one a multiprocessor."""
    if not x.is_cuda:
        return 1
    return torch.cuda.get_device_properties(x.device).multi_processor_count
