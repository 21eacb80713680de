"""The pass equals transformers': whole, token by token, in pieces, and in company."""

import pytest
import torch
from transformers import (
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from lib.decode.cache import ContiguousCache, Shape
from lib.decode.llama import Llama, Span
from lib.decode.paged import PagedCache
from lib.models.quantize import quantize_model
from lib.quant.uniform.grouped import RoundToNearest

CACHES = {
    "contiguous": ContiguousCache,
    "paged": lambda shape: PagedCache(shape, count=64),
}
# Sums of products in another order: some tens of roundings of numbers of size 1.
TOLERANCE = {"rtol": 1e-5, "atol": 2e-6}

SHAPES = {
    "tied": {"tie_word_embeddings": True},
    "untied, biased": {"attention_bias": True, "mlp_bias": True},
    "grouped": {"num_attention_heads": 4, "num_key_value_heads": 2},
    "every head its own": {"num_attention_heads": 4, "num_key_value_heads": 4},
    "wide heads": {"head_dim": 12},
    "stretched angles": {
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 1e4,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        }
    },
}


def tokens_of(count, *, seed=0, vocabulary=40):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(vocabulary, (count,), generator=generator).tolist())


def expected(model, tokens):
    return model(torch.tensor([tokens])).logits[0]


@pytest.mark.parametrize("cache", CACHES.values(), ids=CACHES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_logits_are_those_of_transformers(small_llama, shape, cache):
    model, tokens = small_llama(**shape), tokens_of(37)
    want = expected(model, tokens)
    llama, shape = Llama(model), Shape.of(model)

    whole = llama([Span(1, tokens, len(tokens))], cache(shape))
    torch.testing.assert_close(whole, want, **TOLERANCE)

    kept, rows = cache(shape), []
    for piece in (tokens[:5], tokens[5:21], *([t] for t in tokens[21:])):
        rows.append(llama([Span(1, tuple(piece), len(piece))], kept))
    torch.testing.assert_close(torch.cat(rows), want, **TOLERANCE)


@pytest.mark.parametrize("cache", CACHES.values(), ids=CACHES)
def test_a_span_does_not_see_its_neighbours(small_llama, cache):
    model = small_llama()
    llama, cache = Llama(model), cache(Shape.of(model))
    texts = {n: tokens_of(3 * n + 1, seed=n) for n in range(1, 6)}
    llama([Span(n, text[:-2], 0) for n, text in texts.items()], cache)
    got = llama([Span(n, text[-2:], n % 2 + 1) for n, text in texts.items()], cache)
    want = [expected(model, text)[-(n % 2 + 1) :] for n, text in texts.items()]
    torch.testing.assert_close(got, torch.cat(want), **TOLERANCE)


@pytest.mark.parametrize(
    ("config", "kind"),
    [(MistralConfig, MistralForCausalLM), (Qwen2Config, Qwen2ForCausalLM)],
)
def test_other_families_with_this_pass(config, kind):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 40}
    model = kind(config(**sizes, **heads, sliding_window=None)).eval()
    tokens = tokens_of(20)
    got = Llama(model)([Span(1, tokens, 20)], ContiguousCache(Shape.of(model)))
    with torch.no_grad():
        torch.testing.assert_close(got, expected(model, tokens), **TOLERANCE)


def test_layers_that_hold_codes_take_part(small_llama):
    model = small_llama(hidden_size=32, intermediate_size=64)
    quantize_model(model, RoundToNearest(4, 16))
    tokens = tokens_of(20)
    got = Llama(model)([Span(1, tokens, 20)], ContiguousCache(Shape.of(model)))
    torch.testing.assert_close(got, expected(model, tokens), **TOLERANCE)


def test_half_precision_stays_half_precision(small_llama):
    model, tokens = small_llama().bfloat16(), tokens_of(20)
    got = Llama(model)([Span(1, tokens, 20)], ContiguousCache(Shape.of(model)))
    assert got.dtype == torch.bfloat16
    want = expected(model, tokens).float()
    # A rounding to bfloat16 is 2^-9 of a number; two layers round eight times each
    assert (got - want).abs().max() <= 16 * 2**-9 * want.abs().max()


def test_smollm2(smollm2):
    model, tokenizer = smollm2
    text = (
        "Now is the winter of our discontent made glorious summer by this sun of York"
    )
    tokens = tuple(tokenizer(text).input_ids)
    cache = PagedCache(Shape.of(model), count=4)
    llama = Llama(model)
    first = llama([Span(1, tokens[:9], 9)], cache)
    rest = [llama([Span(1, (token,))], cache) for token in tokens[9:]]
    want = expected(model, tokens)
    worst = (torch.cat((first, *rest)) - want).abs().max()
    # 30 layers of float32 sums of up to 1,536 products; logits reach 20 to 40
    assert worst < 2e-4 * want.abs().max(), f"a logit differs by {worst:.1e}"


def test_a_failed_pass_leaves_the_cache_as_it_was(small_llama, monkeypatch):
    model = small_llama()
    llama, cache = Llama(model), PagedCache(Shape.of(model), count=4)
    llama([Span(1, tokens_of(5))], cache)
    with monkeypatch.context() as broken:
        broken.setattr(llama, "blocks", [*llama.blocks, None])
        with pytest.raises(AttributeError):
            llama([Span(1, tokens_of(30)), Span(2, tokens_of(7))], cache)
    assert (cache.length(1), cache.length(2), len(cache.unused)) == (5, 0, 3)


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([], "no spans"),
        ([Span(1, (3,)), Span(1, (4,))], "two spans"),
        ([Span(1, (3, 40))], "token 40 is outside a vocabulary of 40"),
        ([Span(1, (-1,))], "token -1"),
    ],
)
def test_a_wrong_batch_is_refused(small_llama, spans, message):
    model = small_llama()
    with pytest.raises(ValueError, match=message):
        Llama(model)(spans, ContiguousCache(Shape.of(model)))


def test_wrong_spans_are_refused():
    with pytest.raises(ValueError, match="0 tokens with 1 rows"):
        Span(1, ())
    with pytest.raises(ValueError, match="2 tokens with 3 rows"):
        Span(1, (1, 2), 3)


def test_a_model_that_computes_otherwise_is_refused(small_llama):
    model = small_llama()
    model.config.hidden_act = "gelu"
    with pytest.raises(ValueError, match="'gelu', not silu"):
        Llama(model)
    sliding = MistralConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=40,
        sliding_window=8,
    )
    with pytest.raises(ValueError, match="slides over 8 tokens"):
        Llama(MistralForCausalLM(sliding))
