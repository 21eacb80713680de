"""Prompts and texts: drawn from a seed, and nothing held out is trained on."""

from lib.data.text import HELD_OUT, play
from lib.distill import corpus, prompts
from lib.models.load import load_model


def test_every_form_meets_every_topic_once_in_an_order_of_the_seed():
    asked = prompts.questions(1)
    topics = prompts.TOPICS.count(";") + 1
    assert len(set(asked)) == len(asked) == len(prompts.FORMS) * topics
    assert asked == prompts.questions(1) != prompts.questions(2)
    assert not set(asked) & set(prompts.HELD_OUT)


def test_what_is_held_out_is_in_no_training_text():
    training = corpus.training_text()
    for name in HELD_OUT:
        text = play(name)
        assert text[2000:2400] not in training["plays"]
    held = corpus.held_out_text()["help"]
    pieces = [held[i : i + 400] for i in range(0, len(held) - 400, 5000)]
    assert len(pieces) > 5 and not any(p in training["help"] for p in pieces)


def test_a_conversation_opens_as_a_chat_does():
    tokenizer = load_model("draft")[1]
    begun = prompts.opening(tokenizer)
    (whole,) = prompts.chat(tokenizer, ["What is rain?"])
    assert whole[: len(begun)] == begun
    assert tokenizer.decode(whole[len(begun) :]).startswith("What is rain?<|im_end|>")


def test_packing_keeps_every_token_but_a_short_end():
    texts = [[1, 2, 3], [4, 5], [6, 7, 8, 9]]
    windows = corpus.packed(texts, 4)
    assert windows.shape == (2, 4)
    assert set(windows.flatten().tolist()) <= set(range(1, 10))
    whole = windows.flatten().tolist()
    assert any(whole[i : i + 4] == [6, 7, 8, 9] for i in range(6))
