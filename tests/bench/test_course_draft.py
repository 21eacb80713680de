"""One reading of a text tells the passes that the engine would have taken."""

import pytest
import torch

from lib.bench.drafts.course import passes
from lib.decode.batching import Engine, generate
from lib.decode.cache import ContiguousCache, Shape
from lib.decode.drafts import ModelDraft
from lib.decode.llama import Llama
from lib.decode.requests import Request
from lib.distill.acceptance import read, target_texts
from tests.conftest import llama_of


@pytest.fixture
def pair():
    """A target, and the same with its weights disturbed."""
    target, draft = llama_of(num_hidden_layers=1), llama_of(num_hidden_layers=1)
    noise = torch.Generator().manual_seed(1)
    for p in draft.parameters():
        p.add_(0.3 * p.std().nan_to_num() * torch.randn(p.shape, generator=noise))
    return target, draft


@pytest.mark.parametrize("drafted", (1, 2, 4, 7))
def test_the_engine_needs_as_many_passes_as_a_reading_says(pair, drafted):
    target, draft = pair
    prompts = [[3, 1, 4], [1, 5, 9], [2, 6, 5]]
    reading = read(draft, target, target_texts(target, prompts, 24))
    refused = 0
    for prompt, new, agree in zip(
        prompts, reading.texts.greedy, reading.agree, strict=True
    ):
        engine = Engine(
            Llama(target),
            ContiguousCache(Shape.of(target)),
            draft=ModelDraft.of(draft),
            length=drafted,
        )
        assert generate(engine, [Request(tuple(prompt), 24)]) == [new]
        assert engine.passes - 1 == passes(agree, drafted)
        refused += agree.count(False)
    assert refused, "the draft is wrong at times"


def test_passes_of_known_texts():
    yes, no = True, False
    assert passes([yes] * 9, 3) == 2, "8 tokens after the first, 4 a pass"
    assert passes([no] * 9, 3) == 8
    assert passes([no, yes, no, yes, yes], 2) == 2, "1: yes no, 2: yes and the last"
    assert passes([yes], 4) == passes([], 4) == 0
