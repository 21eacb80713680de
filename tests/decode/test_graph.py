"""The pass as a graph: the tokens of the readable engine, on whatever machine."""

import pytest
import torch

from lib.decode.batching import Engine, generate
from lib.decode.cache import Full, Shape
from lib.decode.graph import Writer, matrix_of
from lib.decode.kivi import KIVI
from lib.decode.llama import Llama, Span
from lib.decode.paged import PagedCache
from lib.decode.requests import Request
from lib.layers.packed import PackedLinear
from lib.models.walk import linear_layers, replace_layer
from lib.quant.codebooks.normal_float import quantize_4bit
from lib.quant.uniform.grouped import round_to_nearest

COUNT = 20
LENGTHS = (1, 15, 16, 17, 30)
SHAPE = {"hidden_size": 64, "intermediate_size": 96, "max_position_embeddings": 128}
SHAPE |= {"num_attention_heads": 4, "num_key_value_heads": 2}


def int4(weight):
    return round_to_nearest(weight, bits=4, group=32, symmetric=True)


def nf4(weight):
    return quantize_4bit(weight, block=32, double=True)


def with_gains(model):
    """The model with another gain in every norm: at first all are 1."""
    draw = torch.Generator().manual_seed(2)
    for name, weight in model.named_parameters():
        if "norm" in name:
            weight.copy_(torch.rand(weight.shape, generator=draw) + 0.5)
    return model


def prompts(lengths):
    draw = torch.Generator().manual_seed(1)
    return [torch.randint(40, (n,), generator=draw).tolist() for n in lengths]


def prefilled(model, texts, blocks=64):
    """A cache that holds all but the last token of each text."""
    cache, llama = PagedCache(Shape.of(model), blocks), Llama(model)
    spans = [Span(i, tuple(t[:-1]), 0) for i, t in enumerate(texts) if len(t) > 1]
    llama(spans, cache)
    return cache


def quantized(model, quantize):
    for name, layer in linear_layers(model).items():
        packed = PackedLinear.from_quantized(quantize(layer.weight))
        replace_layer(model, name, packed)
    return model


@pytest.mark.parametrize("quantize", [None, int4, nf4])
def test_tokens_are_those_of_the_readable_engine(small_llama, quantize):
    model = with_gains(small_llama(**SHAPE))
    model = quantized(model, quantize) if quantize else model
    texts = prompts(LENGTHS)
    engine = Engine(Llama(model), PagedCache(Shape.of(model), 64))
    expected = generate(engine, [Request(tuple(text), COUNT) for text in texts])
    cache = prefilled(model, texts)
    writer = Writer(model, cache, len(texts), capacity=64)
    half = writer.write(dict(enumerate(texts)), COUNT // 2)
    texts = [text + more for text, more in zip(texts, half, strict=True)]
    rest = writer.write(dict(enumerate(texts)), COUNT // 2)
    assert [a + b for a, b in zip(half, rest, strict=True)] == expected
    assert len({token for text in expected for token in text}) > 5, "a dull text"


def test_a_tied_head_and_one_key_for_all_queries(small_llama):
    shape = SHAPE | {"num_key_value_heads": 1, "tie_word_embeddings": True}
    model, texts = small_llama(**shape), prompts((5, 40))
    engine = Engine(Llama(model), PagedCache(Shape.of(model), 64))
    expected = generate(engine, [Request(tuple(text), COUNT) for text in texts])
    writer = Writer(model, prefilled(model, texts), 2, capacity=64)
    assert writer.write(dict(enumerate(texts)), COUNT) == expected


def test_shared_blocks_are_copied_before_they_are_written(small_llama):
    """A fork goes on alone: what it writes is not seen by the text that it left."""
    model, (text,) = small_llama(**SHAPE), prompts((10,))
    cache = prefilled(model, [text])
    cache.fork(0, 1)
    writer = Writer(model, cache, 2, capacity=64)
    first, second = writer.write({0: text, 1: [*text[:-1], (text[-1] + 1) % 40]}, 8)
    alone = Writer(model, prefilled(model, [text]), 1, capacity=64)
    assert alone.write({0: text}, 8) == [first] != [second]


def test_joined_layers_still_multiply_as_before(small_llama):
    model, tokens = small_llama(**SHAPE), torch.arange(10)[None]
    before = model(tokens).logits
    Writer(model, PagedCache(Shape.of(model), 4), 1, capacity=32)
    assert torch.equal(model(tokens).logits, before)


def test_what_cannot_be_written_changes_nothing(small_llama):
    model, texts = small_llama(**SHAPE), prompts((5, 9))
    cache = prefilled(model, texts, blocks=4)
    writer = Writer(model, cache, 2, capacity=48)
    both = dict(enumerate(texts))
    for wrong, count in (({0: texts[0]}, 4), (both, 0), (both, 40)):
        with pytest.raises(ValueError, match="text"):
            writer.write(wrong, count)
    with pytest.raises(ValueError, match="holds 4"):
        writer.write(both | {0: texts[0] + [1]}, 4)
    with pytest.raises(Full):
        writer.write(both, 38)
    assert [cache.length(i) for i in (0, 1)] == [4, 8]


def test_a_cache_in_few_bits_is_refused(small_llama):
    model = small_llama(**SHAPE)
    cache = PagedCache(Shape.of(model), 4, KIVI(4).blocks)
    with pytest.raises(ValueError, match="hold codes"):
        Writer(model, cache, 1, capacity=32)


def test_layers_without_kernels_are_refused(small_llama):
    model = small_llama(**SHAPE, attention_bias=True)
    with pytest.raises(ValueError, match="bias"):
        Writer(model, PagedCache(Shape.of(model), 4), 1, capacity=32)
    with pytest.raises(ValueError, match="Embedding"):
        matrix_of(model.model.embed_tokens)
