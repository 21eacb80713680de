"""Text in pieces is the text of all tokens, and no piece is ever taken back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.decode.server.text import TextStream

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cn"]), max_size=30
)


def in_pieces(tokenizer, text, sizes, stop=()):
    """What came of the text's tokens, and whether it was stopped."""
    tokens = tokenizer(text).input_ids
    stream, found, at = TextStream(tokenizer, stop), "", 0
    while at < len(tokens) and not stream.stopped:
        size = sizes[at % len(sizes)]
        found += stream.add(tokens[at : at + size])
        at += size
    return found + stream.finish(), stream.stopped


@settings(max_examples=60)
@given(TEXTS, st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_pieces_make_the_whole(tokenizer, text, sizes):
    want = tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True)
    assert in_pieces(tokenizer, text, sizes) == (want, False)


@pytest.mark.parametrize("size", [1, 2, 3, 50])
@pytest.mark.parametrize(
    ("text", "stop", "want"),
    [
        ("one two three", ["two"], "one "),
        ("one two three", ["four", "three", "two th"], "one "),
        ("one two", ["two three"], "one two"),
        ("aab aaab", ["aaab"], "aab "),
        ("größer als 🙂", ["🙂"], "größer als "),
        ("###", ["####"], "###"),
    ],
)
def test_nothing_of_a_stop_sequence_is_shown(tokenizer, text, stop, want, size):
    assert in_pieces(tokenizer, text, [size], stop) == (want, want != text)


def test_bytes_that_are_no_character_do_not_wait_for_ever(tokenizer):
    broken = tokenizer("🙂").input_ids[:1] * 12
    stream = TextStream(tokenizer)
    shown = "".join(stream.add([token]) for token in broken)
    assert shown + stream.finish() == tokenizer.decode(broken)
    assert shown


def test_marks_of_a_turn_are_not_text(tokenizer):
    stream = TextStream(tokenizer)
    tokens = [*tokenizer("Hello").input_ids, tokenizer.eos_token_id]
    assert stream.add(tokens) + stream.finish() == "Hello"
