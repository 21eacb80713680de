"""A folder that is not whole is refused, with the names of what is wrong in it."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from lib.models.load import load_model

UP = "model.layers.1.mlp.up_proj.weight"


def tensors(change):
    """A damage to the file of weights."""

    def damage(folder):
        path = folder / "model.safetensors"
        save_file(change(load_file(path)), path, metadata={"format": "pt"})

    return damage


def settings(**changes):
    """A damage to the configuration."""

    def damage(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES = {
    "missing": (
        tensors(lambda t: {k: v for k, v in t.items() if k != UP}),
        f"1 missing: {UP}$",
    ),
    "headless": (
        tensors(lambda t: {k: v for k, v in t.items() if k != "lm_head.weight"}),
        "1 missing: lm_head.weight$",
    ),
    "extra": (
        tensors(lambda t: t | {"model.adapter": torch.ones(3)}),
        r"LlamaForCausalLM\): 1 unexpected: model.adapter$",
    ),
    "prefixed": (
        tensors(lambda t: {f"module.{k}": v for k, v in t.items()}),
        r"21 missing: .*; 21 unexpected: module\.",
    ),
    "a block more": (settings(num_hidden_layers=3), r"9 missing: model\.layers\.2\."),
    "a block less": (settings(num_hidden_layers=1), r"9 unexpected: model\.layers\.1"),
    "wider": (
        settings(intermediate_size=24),
        r"6 of another shape: .*down_proj.weight \(8x16, not 8x24\)",
    ),
    "two heads": (settings(tie_word_embeddings=True), "ties the head .* two that diff"),
    "another model": (settings(model_type="opt", architectures=[]), "OPTForCausalLM"),
    "unknown": (settings(model_type="zorb"), "its weights: .*model type `zorb`"),
    "cut": (cut, "its weights: .*header"),
    "no weights": (
        lambda f: (f / "model.safetensors").unlink(),
        "its weights: .*no fil",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "its tokenizer: "),
    "no folder": (shutil.rmtree, "there is no such folder"),
}


@pytest.fixture(scope="module")
def whole(smollm2, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    config = LlamaConfig(
        vocab_size=8,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    smollm2[1].save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_wrong_is_named_and_nothing_is_drawn_at_random(name, whole, tmp_path):
    damage, words = DAMAGES[name]
    folder = shutil.copytree(whole, tmp_path / "model")
    model, _ = load_model(str(folder))
    there = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    assert all(torch.equal(t, there[key]) for key, t in model.state_dict().items())
    damage(folder)
    with pytest.raises(ValueError, match=words) as caught:
        load_model(str(folder))
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
