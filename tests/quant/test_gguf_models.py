"""Llamas of every shape as GGUF: a reader of the format computes their logits."""

from itertools import pairwise

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lib.models.gguf_file import rope_divisors, save_gguf
from lib.models.load import load_model
from lib.models.quantize import quantize_model
from lib.quant.codebooks.normal_float import NormalFloat
from lib.quant.gguf import decode, encode
from tests.models.rotary import LLAMA3
from tests.quant.gguf_reader import Reader

IDS = torch.randint(1024, (40,), generator=torch.Generator().manual_seed(0))
YARN = {
    "rope_type": "yarn",
    "rope_theta": 1e4,
    "factor": 4.0,
    "original_max_position_embeddings": 16,
}
MODELS = {
    "plain": {},
    "tied": {"tie_word_embeddings": True},
    "biased": {"attention_bias": True, "mlp_bias": True},
    "wide heads": {"head_dim": 48},
    "llama 3": {"rope_parameters": LLAMA3},
    "linear": {
        "rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}
    },
    "yarn": {"rope_parameters": YARN},
    "yarn of other ends": {
        "rope_parameters": YARN | {"beta_fast": 8.0, "beta_slow": 0.5}
    },
    "all": {
        "rope_parameters": LLAMA3,
        "attention_bias": True,
        "mlp_bias": True,
        "head_dim": 16,
        "tie_word_embeddings": True,
    },
}


def build(**settings):
    torch.manual_seed(0)
    shape = {
        "vocab_size": 1024,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
    }
    model = LlamaForCausalLM(LlamaConfig(**shape | settings)).eval()
    model.requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter += 0.3 * torch.randn(parameter.shape)
        else:  # attention that looks somewhere, on weights that Q8_0 holds
            parameter.copy_(decode(encode(5 * parameter, "Q8_0"), "Q8_0"))
    return model


@pytest.fixture(scope="module")
def tokenizer():
    return load_model("teacher")[1]


@pytest.mark.parametrize("name", MODELS)
def test_a_reader_of_the_format_computes_the_same_logits(name, tokenizer, tmp_path):
    model = build(**MODELS[name])
    save_gguf(model, tokenizer, tmp_path / "x.gguf", kind="Q8_0", pretokenizer="gpt-2")
    read = Reader(tmp_path / "x.gguf")
    ours, expected = read.logits(IDS), model(IDS[None]).logits[0]
    assert (ours - expected).abs().amax() < 1e-3 * expected.abs().amax()
    assert [path.name for path in tmp_path.iterdir()] == ["x.gguf"]
    assert read.fields["tokenizer.ggml.pre"] == "gpt-2"
    assert read.fields["tokenizer.ggml.bos_token_id"] == tokenizer.bos_token_id
    assert tokenizer.unk_token_id is None
    assert "tokenizer.ggml.unknown_token_id" not in read.fields


def test_a_models_dtype_does_not_reach_its_rotations(tokenizer, tmp_path):
    """A model cast to bf16 carries rounded frequencies; the file has the exact ones."""
    for dtype in (torch.float32, torch.bfloat16):
        model = build(rope_parameters=LLAMA3).to(dtype)
        save_gguf(model, tokenizer, tmp_path / str(dtype))
    wide, half = (Reader(path).frequencies()[0] for path in sorted(tmp_path.iterdir()))
    assert torch.equal(wide, half)


def test_llama_3_divides_slow_turns_by_its_factor_and_quick_ones_by_1():
    rope = LLAMA3 | {"original_max_position_embeddings": 8192}
    divisors = rope_divisors(LlamaConfig(head_dim=64, rope_parameters=rope))
    assert len(divisors) == 32
    assert divisors[0] == pytest.approx(1) and divisors[-1] == pytest.approx(8)
    steps = pairwise(divisors)
    assert all(later > 0.999 * earlier for earlier, later in steps)
    assert rope_divisors(LlamaConfig()) == []


REFUSED = {
    "dynamic": ({"rope_type": "dynamic", "factor": 2.0}, "rope_type='dynamic' has no"),
    "attention": (YARN | {"attention_factor": 1.3}, r"factor of 1\.1386, not 1\.3000"),
    "untruncated": (YARN | {"truncate": False}, "YaRN has truncate=True"),
    "partial": (
        {"rope_type": "default", "partial_rotary_factor": 0.5},
        "turn a part of each head only",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_rotations_without_a_place_are_refused(name, tokenizer, tmp_path):
    rope, words = REFUSED[name]
    model = build()
    model.config.rope_parameters = {"rope_theta": 1e4} | rope
    with pytest.raises(ValueError, match=words):
        save_gguf(model, tokenizer, tmp_path / "x.gguf")
    assert not list(tmp_path.iterdir()), "no half of a file"


def test_what_is_wrong_is_named(tokenizer, tmp_path, smollm2):
    path = tmp_path / "x.gguf"
    model = build()
    model.model.layers[1].mlp.up_proj.weight[3, 5] = 1e9
    with pytest.raises(ValueError, match=r"layers\.1\.mlp\.up_proj\.weight: a block's"):
        save_gguf(model, tokenizer, path)
    with pytest.raises(ValueError, match=r"q_proj\.weight: Q4_K needs rows of a mult"):
        save_gguf(build(), tokenizer, path, kind="Q4_K", fallback="Q4_K")
    with pytest.raises(ValueError, match="hidden_act='gelu'"):
        save_gguf(build(hidden_act="gelu"), tokenizer, path)
    with pytest.raises(ValueError, match=r"49152 tokens; .* the model's 1024"):
        save_gguf(build(), smollm2[1], path)
    packed = build()
    quantize_model(packed, NormalFloat())
    with pytest.raises(
        ValueError, match=r"14 layers are packed, first model\.layers\.0"
    ):
        save_gguf(packed, tokenizer, path)
    assert not list(tmp_path.iterdir())
