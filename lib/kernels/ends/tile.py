"""A product's tile, and what its programs do before they may read x.

Chained kernels overlap, if there is something to do before the one in front has ended.
A program first takes weights of its first turns into registers, few enough that several
programs still fit a multiprocessor; then it asks for those of the next turns, which
come as far as L2. More than L2 holds would push each other out.

Measured tiles are those of `core/tiles.json` under the names in `OPERATIONS`: they were
chosen by the time of a whole step of a model, not of a product alone.

Read in order: `tile_of`, `chunk_of`, `turns_before`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lib.kernels.core.tiles import Tile, inside, look_up, num_sms, power_above
from lib.kernels.ends.matrices import Dense, Matrix, rows_of
from lib.kernels.int4.product import Int4, int4_tile
from lib.kernels.nf4.product import Nf4, nf4_tile

OPERATIONS = {Dense: "ends_dense", Int4: "ends_int4", Nf4: "ends_nf4"}
L2_BYTES = 24 << 20  # of weights that may be on their way
BESIDE = 400  # programs that are there at once
MOST_AHEAD = 16  # turns
HOLD = 32  # rows of a turn that registers hold; twice as many if that is all of them
PLANE = 64  # columns of 16 bits: what a row of a turn takes of them


def tile_of(x: Float[Tensor, "m cols"], w: Matrix) -> Tile:
    """The measured tile, or the product's own; a rule for weights as they are."""
    cols, rows = x.shape[1], rows_of(w)
    measured = look_up(OPERATIONS[type(w)], x, rows, cols)
    if measured:
        return measured
    if isinstance(w, Int4):
        return int4_tile(x, w)
    if isinstance(w, Nf4):
        return nf4_tile(x, w)
    tall = 32 if rows >= 24 * num_sms(x) else 16
    return inside(tall, max(2, power_above(len(x))), 4 if cols > 1024 else 8, 4)


def chunk_of(x: Float[Tensor, "m cols"], tile: Tile) -> int:
    """Columns of a warp's turn: 128 bytes, or 256 where that makes all one turn."""
    columns = 128 // x.element_size()
    one_turn = x.shape[1] <= 2 * columns * tile.splits
    return 2 * columns if one_turn else columns


def turns_before(x: Float[Tensor, "m cols"], w: Matrix, tile: Tile) -> dict[str, int]:
    """How many turns' weights a program takes (HELD) and asks for (AHEAD) at first.

    NF4 takes none: its codes are looked up in tables, which have to be filled first.
    """
    unit = tile.rows
    if isinstance(w, Dense):
        chunk = chunk_of(x, tile)
        turns = -(-x.shape[1] // (chunk * tile.splits))
        unit = tile.rows * chunk * x.element_size() // (2 * PLANE)
    else:
        turns = -(-w.planes.chunks // tile.splits)
    held = turns if turns * unit <= 2 * HOLD else HOLD // unit
    if tile.batch > 2 or x.dtype == torch.float32:
        held = 0
    programs = -(-rows_of(w) // tile.rows)
    room = int(L2_BYTES / w.nbytes * max(1, programs / BESIDE) * turns)
    ahead = min(turns, max(room, tile.stages), MOST_AHEAD)
    if isinstance(w, Nf4):
        return {"AHEAD": ahead}
    return {"HELD": held, "AHEAD": ahead, "MORE": turns > held}
