"""Self-Instruct: lists hold what they say, rows teach answers only, rules are rules."""

import random

import pytest
import torch
from torch.nn.functional import cross_entropy

from lib.distill.instruct import judge, propose
from lib.distill.instruct.overlap import filtered, rouge_l, words
from lib.distill.instruct.references import REFERENCES
from lib.distill.losses import IGNORED
from lib.distill.prompts import HELD_OUT, chat, questions
from lib.models.load import load_model

SEEDS = questions()[:20]


@pytest.fixture(scope="module")
def tokenizer():
    return load_model("draft")[1]


def test_the_quick_bound_changes_nothing():
    draw = random.Random(3)
    proposed = [
        " ".join(draw.choices("abcde", k=draw.randint(3, 7))) for _ in range(60)
    ]
    seeds, kept = proposed[:4], []
    for text in proposed[4:]:
        if all(rouge_l(text, other) < 0.7 for other in (*seeds, *kept)):
            kept.append(text)
    assert filtered(proposed[4:], seeds) == kept and 5 < len(kept) < 50


def test_a_list_shows_eight_different_exercises_and_asks_for_the_ninth():
    own = ["an exercise of my own", "and another one", "and a third"]
    for seed in range(5):
        lines = propose.listed(SEEDS, own, random.Random(seed)).split("\n")
        told = [line.split(": ", 1)[1] for line in lines[2:-1]]
        assert len(set(told)) == 8 and lines[-1] == "Task 9:"
        assert sum(text in own for text in told) == 2 and set(told) <= {*SEEDS, *own}
    with pytest.raises(ValueError, match="7 seeds for a list of 8"):
        propose.listed(SEEDS[:7], [], random.Random(0))


def test_proposals_are_lines_and_later_lists_show_what_was_kept(tokenizer, monkeypatch):
    asked = []
    answers = iter(
        ["Paint a fence green.", "Paint a fence green.", "Sing at noon now."]
    )

    def write(model, lists, *_, **options):
        asked.append([tokenizer.decode(ids) for ids in lists])
        return [
            tokenizer(f" {next(answers, 'Walk a dog home.')}\nTask 10: no")["input_ids"]
            for _ in lists
        ]

    monkeypatch.setattr(propose, "write", write)
    found = propose.proposals(torch.nn.Identity(), tokenizer, SEEDS, count=5, rounds=2)
    assert found[:3] == ["Paint a fence green."] * 2 + ["Sing at noon now."]
    assert [len(lists) for lists in asked] == [3, 2]
    assert all("Paint a fence" in text and "Sing at noon" in text for text in asked[1])
    with pytest.raises(ValueError, match="count=0"):
        propose.proposals(torch.nn.Identity(), tokenizer, SEEDS, count=0)


def test_only_the_answer_is_learned_and_each_of_its_tokens(tokenizer, small_llama):
    asked = ["What is rain?", "Why is the sea salt, and who put all of it there?"]
    answers = [tokenizer(text)["input_ids"] for text in ("Water.", "Nobody did.")]
    rows = propose.rows_of(tokenizer, asked, answers, 40 + 24)
    ids, labels = rows.chunk(2, 1)
    for row, gold, answer in zip(ids, labels, answers, strict=True):
        assert gold[gold != IGNORED].tolist() == answer
        places = (gold != IGNORED).nonzero()[:, 0]
        assert row[places + 1].tolist() == answer
    model = small_llama(vocab_size=len(tokenizer), max_position_embeddings=128)
    loss = propose.answer_loss(model, rows)
    logits = model(input_ids=ids).logits[:, :-1]
    learned = labels[:, :-1] != IGNORED
    want = cross_entropy(logits[learned], ids[:, 1:][learned])
    assert loss.item() == pytest.approx(want.item(), rel=1e-5)
    start = len(chat(tokenizer, asked[:1])[0])
    cut = propose.rows_of(tokenizer, asked[:1], answers[:1], start + 1)
    assert (cut[:, start + 1 :] != IGNORED).sum() == 1
    with pytest.raises(ValueError, match="none of 1 questions fits"):
        propose.rows_of(tokenizer, asked[:1], answers[:1], start)


KEPT = {
    "one sentence": ("A tower with a lamp.", "A tower. With a lamp."),
    "three points": ("1. a\n2. b\n3. c", "1. a\n2. b\n3. c\n4. d"),
    "capitals": ("FOG IS WET.", "FOG is wet."),
    "few words": ("Fog is wet.", "wet " * 20),
    "a word": ("Fog lies on the River.", "Fog lies on the lake."),
    "the start": ("Dear reader, fog is wet.", "Fog is wet, dear reader."),
    "the end": ("Fog. It is wet. Good night.", "Good night. Fog is wet."),
    "yes or no": ("Yes.", "Yes, of course."),
}


@pytest.mark.parametrize("name", judge.RULES)
def test_a_rule_knows_what_keeps_it(name):
    kept, broken = KEPT[name]
    assert judge.RULES[name].met(kept) and not judge.RULES[name].met(broken)
    assert not judge.RULES[name].met("")


def test_rules_are_counted_each_by_itself():
    count = len(judge.TOPICS)
    answers = [text for kept in KEPT.values() for text in [kept[0]] * count]
    assert len(judge.questions()) == len(answers)
    assert set(judge.kept_rules(answers).values()) == {1.0}
    answers[0] = KEPT["one sentence"][1]
    shares = judge.kept_rules(answers)
    assert shares.pop("one sentence") == pytest.approx(1 - 1 / count)
    assert set(shares.values()) == {1.0}
    with pytest.raises(ValueError, match="47 answers to 48"):
        judge.kept_rules(answers[1:])


def test_form_sees_ends_and_repetition():
    found = judge.form([[1, 2, 3, 4, 9], [5, 6] * 6], stop=9)
    assert found["ends"] == 0.5
    assert found["repeated"] == pytest.approx(7 / 11)  # 2 + 9 fours, 7 seen before
    with pytest.raises(ValueError, match="no answers"):
        judge.form([], stop=9)


def test_every_held_out_question_has_a_reference_and_nothing_is_trained_on(tokenizer):
    assert len(REFERENCES) == len(HELD_OUT) and len(set(REFERENCES)) == len(HELD_OUT)
    trained = " ".join(questions())
    assert not any(topic in words(trained) for topic in judge.TOPICS)
    assert not set(judge.questions()) & set(questions())


def test_references_are_read_with_their_ends(tokenizer, small_llama):
    model = small_llama(vocab_size=len(tokenizer), max_position_embeddings=256)
    seen = []
    wrapped = propose.rows_of

    def rows_of(*arguments):
        seen.append(wrapped(*arguments))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "rows_of", rows_of)
        nats = judge.reference_nats(model, tokenizer)
    assert 0 < nats < 2 * torch.tensor(float(len(tokenizer))).log()
    labels = seen[0].chunk(2, 1)[1]
    whole = (labels == tokenizer.eos_token_id).any(1)
    assert whole.all(), f"{(~whole).sum()} references are cut off"
