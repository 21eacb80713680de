"""The table of measured tiles: what is kept comes back, and nothing else is chosen."""

import torch

from lib.kernels.core import tiles
from lib.kernels.core.tiles import Tile, bucket, chosen, inside, keep, kept


def test_what_is_kept_comes_back(tmp_path, monkeypatch):
    choices = {
        ("int4", "a GPU", "1x4096x4096"): inside(16, 1, 8, 4),
        ("int4", "a GPU", "64x4096x4096"): Tile(128, 64, 3, 8, 3),
    }
    monkeypatch.setattr(tiles, "MEASURED", choices)
    keep(tmp_path / "tiles.json")
    assert kept(tmp_path / "tiles.json") == choices


def test_sizes_share_a_bucket_up_to_a_power_of_two():
    assert bucket(5, 4096, 11008) == bucket(8, 4095, 16384) == "8x4096x16384"
    assert bucket(1, 1, 1) == "1x1x1"


def test_no_choice_is_made_for_a_processor():
    assert chosen("int4", torch.zeros(1, 4096), 4096, 4096) is None
