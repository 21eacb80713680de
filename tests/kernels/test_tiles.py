"""The table of measured tiles: what is saved comes back, and nothing else is found."""

from itertools import product

import torch

from lib.kernels.core import tiles
from lib.kernels.core.planes import planes_of
from lib.kernels.core.tiles import (
    SHARED,
    Tile,
    bucket,
    inside,
    load,
    look_up,
    save,
)
from lib.kernels.int4 import product as int4
from lib.kernels.nf4 import product as nf4


def test_what_is_saved_comes_back(tmp_path, monkeypatch):
    measured = {
        ("int4", "a GPU", "1x4096x4096"): inside(16, 1, 8, 4),
        ("int4", "a GPU", "64x4096x4096"): Tile(128, 64, 3, 8, 3),
    }
    monkeypatch.setattr(tiles, "MEASURED", measured)
    save(tmp_path / "tiles.json")
    assert load(tmp_path / "tiles.json") == measured


def test_sizes_share_a_bucket_up_to_a_power_of_two():
    assert bucket(5, 4096, 11008) == bucket(8, 4095, 16384) == "8x4096x16384"
    assert bucket(1, 1, 1) == "1x1x1"


def test_nothing_is_measured_for_a_processor():
    assert look_up("int4", torch.zeros(1, 4096), 4096, 4096) is None


SIDES = (1, 64, 576, 1000, 1536, 4096, 8192, 14336)
TOKENS = (1, 2, 3, 5, 8, 9, 16, 17, 32, 64, 128, 256, 257, 1025)
GROUPS = (16, 24, 32, 48, 64, 96, 128, 192)


def test_an_int4_tile_fits_whatever_the_dtype_the_group_and_the_size():
    """float32 at 1000 x 1536 with 16 tokens wanted 278 KB of 227."""
    planes = planes_of(1536, 64)
    rule = int4._rule(16, 1000, planes, 132, 4)
    assert int4.shared_bytes(rule, planes, 4) > SHARED
    for n, k, group in product(SIDES, SIDES[1:], GROUPS):
        if k % group:
            continue
        planes = planes_of(k, group)
        for m, itemsize in product(TOKENS, (2, 4)):
            rule = int4._rule(m, n, planes, 132, itemsize)
            tile = int4.fitting(rule, planes, itemsize)
            assert int4.shared_bytes(tile, planes, itemsize) <= SHARED
            assert itemsize == 4 or tile == rule, "what was measured stays"


def test_a_measured_int4_tile_fits_in_float32_too():
    planes = planes_of(4096, 128)
    for (operation, _, _), tile in load().items():
        if operation.startswith("int4"):
            fitted = int4.fitting(tile, planes, 4)
            assert int4.shared_bytes(fitted, planes, 4) <= SHARED


# NF4 in float32 as Triton 3.7.1 compiled it for Hopper: tokens, rows, columns, block,
# and the bytes of shared memory in the tile of the rule, before it was made to fit.
COMPILED = {
    (1, 4096, 4096, 64): 414_208,
    (3, 4096, 4096, 64): 301_056,
    (8, 14336, 4096, 64): 167_424,
    (16, 1000, 1536, 64): 267_776,
    (1025, 14336, 1536, 32): 412_672,
    (1025, 14336, 1536, 256): 397_312,
}


def test_an_nf4_tile_fits_in_float32():
    for (m, n, k, block), compiled in COMPILED.items():
        planes = planes_of(k, block)
        rule = nf4._rule(m, n, planes, 132, 4)
        assert compiled <= nf4.shared_bytes(rule, planes) < 1.1 * compiled
    for n, k, block in product(SIDES, SIDES[1:], GROUPS):
        if k % block == 0:
            planes = planes_of(k, block)
            for m in TOKENS:
                tile = nf4.fitting(nf4._rule(m, n, planes, 132, 4), planes)
                assert nf4.shared_bytes(tile, planes) <= SHARED
