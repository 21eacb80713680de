"""Who runs a rotated model's layers by himself does what they do online, or refuses."""

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from lib.decode.cache import ContiguousCache, Shape
from lib.decode.graph import matrix_of
from lib.decode.llama import Llama, Span
from lib.layers.blocked import block_weights
from lib.models.gguf_file import save_gguf
from lib.models.rotate.online import online_parts, round_online
from lib.models.rotate.turn import rotate_model

TOKENIZER = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0})))
TOKENS = torch.randint(40, (1, 12), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def rotated(tiny_llama):
    rotate_model(tiny_llama)
    return tiny_llama


@torch.no_grad()
def test_the_engine_runs_it(rotated):

    spans = [Span(0, tuple(TOKENS[0].tolist()), 12)]
    got = Llama(rotated)(spans, ContiguousCache(Shape.of(rotated)))
    torch.testing.assert_close(got, rotated(TOKENS).logits[0], rtol=1e-4, atol=1e-5)


def test_the_engine_refuses_to_round_its_cache_online(rotated):
    round_online(rotated, cache=4)
    with pytest.raises(ValueError, match="keys and values online"):
        Llama(rotated)


def test_the_graph_refuses_a_layer_whose_inputs_are_transformed(rotated):
    block = rotated.model.layers[0]
    matrix_of(block.self_attn.o_proj)
    with pytest.raises(ValueError, match="hadamard=True"):
        matrix_of(block.mlp.down_proj)


def test_blocks_and_other_programs_files_would_lose_it(rotated, tmp_path):
    before = online_parts(rotated)
    with pytest.raises(ValueError, match="down_proj has hooks"):
        block_weights(rotated)
    with pytest.raises(ValueError, match="work online, first model"):
        save_gguf(rotated, TOKENIZER, tmp_path / "model.gguf")
    assert online_parts(rotated) == before
