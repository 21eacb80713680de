"""The table of measured tiles: what is saved comes back, and nothing else is found."""

import torch

from lib.kernels.core import tiles
from lib.kernels.core.tiles import Tile, bucket, inside, load, look_up, save


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
