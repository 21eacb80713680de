"""A model as a function: each row from what stands before it, whatever was asked."""

import random

import pytest
import torch

from lib.exercises.decoding import Bigram, Reader, as_text


def test_a_bigram_looks_at_one_token():
    logits = torch.randn(5, 5)
    assert Bigram(logits)([3, 0, 3]).equal(logits[[3, 0, 3]])
    assert Bigram(logits)(torch.tensor([3])).equal(logits[3:4])


@pytest.mark.parametrize("text", [[], [[1, 2]], [1.0], 3, [5], [-1], [True]])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(ValueError, match=r"reads a list of tokens|outside"):
        as_text(text, 5)


def test_a_reader_is_its_model_for_any_order_of_texts(tiny_llama, monkeypatch):
    monkeypatch.setattr("lib.exercises.decoding.MOST_ROWS", 40)
    known = torch.tensor([2, 3, 5, 7, 11, 13])
    reader, draw = Reader(tiny_llama, known), random.Random(1)
    text = [0]
    for _ in range(30):
        kept = draw.randrange(1, len(text) + 1)
        text = text[:kept] + draw.choices(range(6), k=draw.randrange(3))
        with torch.inference_mode():
            expected = tiny_llama(known[text][None]).logits[0, :, known]
        torch.testing.assert_close(reader(text), expected, rtol=1e-4, atol=1e-5)
        assert len(reader.rows) <= 40 + len(text)
