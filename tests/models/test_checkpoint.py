"""A folder of layers: whole files, of these settings and these weights, or a word."""

import pytest
import torch
from safetensors.torch import save_file

from lib.models.checkpoint import Checkpoint, fingerprint

W = torch.arange(6.0).view(2, 3)
TENSORS = {"codes": torch.arange(5, dtype=torch.uint8), "scale": torch.ones(2).half()}


def test_what_is_kept_is_found_bit_for_bit(tmp_path):
    folder = tmp_path / "new" / "folder"
    Checkpoint(folder, "GPTQ").keep("a.b", W, TENSORS, {"kind": "x", "shape": [2, 3]})
    tensors, metadata = Checkpoint(folder, "GPTQ").find("a.b", W)
    assert metadata == {"kind": "x", "shape": [2, 3]}
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], t) for name, t in TENSORS.items())
    assert Checkpoint(folder, "GPTQ").find("a.c", W) is None
    assert [path.name for path in folder.iterdir()] == ["a.b.safetensors"], "no draft"


def test_other_settings_and_other_weights_are_refused(tmp_path):
    Checkpoint(tmp_path, "GPTQ").keep("a", W, TENSORS, {})
    with pytest.raises(ValueError, match="made by GPTQ, not by AWQ: choose another"):
        Checkpoint(tmp_path, "AWQ").find("a", W)
    for other in (W + 1, W.T.contiguous(), W.double(), W.view(3, 2)):
        with pytest.raises(ValueError, match=r"made of 2x3 torch.float32 \w+, not of"):
            Checkpoint(tmp_path, "GPTQ").find("a", other)


def test_a_file_of_something_else_is_refused(tmp_path):
    save_file(TENSORS, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="made by an earlier version, not by GPTQ"):
        Checkpoint(tmp_path, "GPTQ").find("a", W)


def test_a_fingerprint_sees_every_bit_and_no_layout():
    same = torch.stack([W, W], -1)[..., 0]  # strided
    assert fingerprint(same) == fingerprint(W)
    moved = W.clone()
    moved[1, 2] = moved[1, 2].nextafter(torch.tensor(9.0))
    assert fingerprint(moved) != fingerprint(W)
    assert fingerprint(W.bfloat16()).startswith("2x3 torch.bfloat16 ")
