"""N of every M: the kept values, and log2 M bits each that say where they stood.

    values[i, g n + k] = the k-th kept of w[i, g m … g m + m − 1], in their order
    places[i, g n + k] = its column within the run, packed without gaps

Bits a weight with values of v bits: (n/m) (v + ⌈log2 m⌉). At 2:4 the places cost 1 bit
a weight, just what a bitmap costs; their use is that every run has the same size, so
hardware knows where to look: a sparse tensor core multiplies n products in place of m.
The bytes of 2:4 are those of lib/kernels/two_of_four.

Read in order: `NOfM`.  Taught in notebooks/11.
Source: Mishra et al. 2021, arXiv:2104.08378, sections 3 and 4.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from lib.prune.masks import check_n_of_m, kept_n_of_m
from lib.quant.uniform.packing import pack, unpack


@dataclass(frozen=True, eq=False)
class NOfM:
    """A matrix of which n of every m neighbours are kept."""

    values: Float[Tensor, "rows kept"]
    places: UInt8[Tensor, " bytes"]
    n: int
    m: int

    @classmethod
    def compress(cls, w: Float[Tensor, "rows cols"], n: int, m: int) -> "NOfM":
        """Store `w`; ValueError where a run has more than n that are not 0.

        And as `check_n_of_m`, and for an m above 256, whose places fill no byte.
        """
        check_n_of_m(n, m, w.shape[1])
        if m > 256:
            raise ValueError(f"m={m} is above 256")
        runs = w.unflatten(1, (-1, m))  # (rows, runs, m)
        if (worst := int((runs != 0).sum(-1).amax())) > n:
            raise ValueError(f"{worst} of {m} neighbours are not 0, more than n={n}")
        kept = kept_n_of_m(w.abs(), n, m).unflatten(1, (-1, m)).to(torch.uint8)
        places = kept.sort(dim=-1, descending=True, stable=True).indices[..., :n]
        values = runs.gather(2, places).flatten(1)
        return cls(values, pack(places, _bits(m)), n, m)

    def columns(self) -> Int[Tensor, "rows kept"]:
        """The column of every value."""
        rows, kept = self.values.shape
        places = unpack(self.places, _bits(self.m), rows * kept).view(rows, kept)
        first = torch.arange(kept, device=places.device) // self.n * self.m
        return first + places.long()

    def dequantize(self) -> Float[Tensor, "rows cols"]:
        """w, zeros where nothing was kept, in float32 (float64 values: in float64)."""
        wide = self.values.to(torch.promote_types(self.values.dtype, torch.float32))
        rows, kept = wide.shape
        w = wide.new_zeros(rows, kept // self.n * self.m)
        return w.scatter_(1, self.columns(), wide)

    def product(self, x: Float[Tensor, "tokens cols"]) -> Float[Tensor, "tokens rows"]:
        """x wᵀ from n of m products: the equation, which a CPU does not run faster."""
        picked = x[:, self.columns()]  # (tokens, rows, kept)
        return (picked * self.values.to(x)).sum(-1)

    @property
    def nbytes(self) -> int:
        """Bytes of values and places."""
        return self.values.nbytes + self.places.nbytes

    @property
    def bits_per_weight(self) -> float:
        """Stored bits over all weights, the dropped ones included."""
        return 8 * self.nbytes / (self.values.numel() / self.n * self.m)


def _bits(m: int) -> int:
    """⌈log2 m⌉, at least 1."""
    return max((m - 1).bit_length(), 1)
