import os
from pathlib import Path

import pytest
import torch

from lib.models import load


def test_smollm2_is_tied_frozen_and_knows_its_own_tokens(smollm2):
    model, tokenizer = smollm2
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert tokenizer.eos_token_id == model.config.eos_token_id
    text = "To be, or not to be ,  that is\n\nthe question…"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_writing_into_the_weights_does_not_reach_the_cache(smollm2):
    weight = smollm2[0].model.norm.weight
    first = load.load_model()[0].model.norm.weight
    first.fill_(7.0)
    assert torch.equal(load.load_model()[0].model.norm.weight, weight)


def test_other_dtypes_and_local_folders(tiny_llama, smollm2, tmp_path):
    tiny_llama.save_pretrained(tmp_path)
    smollm2[1].save_pretrained(tmp_path)
    model, tokenizer = load.load_model(str(tmp_path), dtype=torch.bfloat16)
    assert model.dtype == torch.bfloat16 and len(tokenizer) == len(smollm2[1])
    with pytest.raises(ValueError, match=r"dtype=torch.int8 is not a floating"):
        load.load_model(dtype=torch.int8)


def test_a_model_that_is_nowhere_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in (str(tmp_path), "nobody/nothing-at-all"):
        with pytest.raises(ValueError, match="cannot load the model") as caught:
            load.load_model(name)
        assert name in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_or_damaged_package_names_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "PACKAGE", "no_such_package_anywhere")
    with pytest.raises(ValueError, match=r"not installed: run `make data`"):
        load._packaged_gguf()
    package = tmp_path / "hollow"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(load, "PACKAGE", "hollow")
    with pytest.raises(ValueError, match=r"lacks its file .*make data"):
        load._packaged_gguf()
    (package / load.FILE).write_bytes(b"GGUF, cut short")
    with pytest.raises(ValueError, match=r"damaged: its SHA-256 is .*make data"):
        load._packaged_gguf()


def _build_stub(monkeypatch, after=lambda: None):
    """Let `_build` write two small files, then run `after`; count the builds."""
    built = []

    def build(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "tokenizer.json").write_bytes(b"tokens")
        built.append(folder)
        after()

    monkeypatch.setattr(load, "_packaged_gguf", lambda: Path("unused.gguf"))
    monkeypatch.setattr(load, "_build", build)
    return built


def test_the_cache_is_built_once_and_mended_when_damaged(monkeypatch, tmp_path):
    built = _build_stub(monkeypatch)
    folder = load.cached_smollm2(tmp_path)
    assert load.cached_smollm2(tmp_path) == folder and len(built) == 1
    (folder / "model.safetensors").write_bytes(b"cut")
    load.cached_smollm2(tmp_path)
    (folder / "tokenizer.json").unlink()
    load.cached_smollm2(tmp_path)
    assert len(built) == 3 and load._is_whole(folder)
    assert list(tmp_path.iterdir()) == [folder], "a draft was left behind"


def test_an_interrupted_build_leaves_nothing(monkeypatch, tmp_path):
    def interrupt():
        raise KeyboardInterrupt

    _build_stub(monkeypatch, after=interrupt)
    with pytest.raises(KeyboardInterrupt):
        load.cached_smollm2(tmp_path)
    assert not list(tmp_path.iterdir())


def test_drafts_of_killed_builds_are_swept_and_living_ones_are_not(
    monkeypatch, tmp_path
):
    _build_stub(monkeypatch)
    (tmp_path / "draft-dead").mkdir()
    os.utime(tmp_path / "draft-dead", (0, 0))
    (tmp_path / "draft-alive").mkdir()
    folder = load.cached_smollm2(tmp_path)
    assert set(tmp_path.iterdir()) == {folder, tmp_path / "draft-alive"}


def test_whoever_loses_the_race_uses_the_winners_copy(monkeypatch, tmp_path):
    def rival_finishes_first():
        winner = tmp_path / f"smollm2-{load.SHA256[:12]}"
        winner.mkdir()
        (winner / "model.safetensors").write_bytes(b"the winner's")
        load._write_sizes(winner)

    _build_stub(monkeypatch, after=rival_finishes_first)
    folder = load.cached_smollm2(tmp_path)
    assert (folder / "model.safetensors").read_bytes() == b"the winner's"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_disk_that_cannot_be_written_is_a_value_error(monkeypatch, tmp_path):
    _build_stub(monkeypatch)
    (tmp_path / "share").write_text("a file where the folder should be")
    with pytest.raises(ValueError, match="cannot keep SmolLM2 under"):
        load.cached_smollm2(tmp_path / "share")
