"""The course's own models: whole, small, and useful for what they were made."""

import json
import math
import shutil

import pytest
import torch

from lib.decode.batching import Engine, generate
from lib.decode.cache import ContiguousCache, Shape
from lib.decode.drafts import ModelDraft
from lib.decode.llama import Llama
from lib.decode.requests import Request
from lib.decode.sampling import Sampling
from lib.distill import prompts
from lib.distill.corpus import (
    held_out_prompts,
    held_out_text,
    training_text,
    windows_of,
)
from lib.distill.intermediate import from_layers
from lib.distill.train import save_draft
from lib.models.course.files import (
    COURSE_MODELS,
    WEIGHTS,
    course_folder,
    draft_model,
)
from lib.models.course.frequent_head import FrequentHead
from lib.models.evaluate import window_losses
from lib.models.load import cached_smollm2, load_model

UNIFORM = math.log(1024)


@pytest.mark.parametrize("name", COURSE_MODELS)
def test_each_is_checked_has_a_card_and_fits(name, tmp_path):
    folder = course_folder(name)
    assert "## " not in (card := (folder / "README.md").read_text())
    assert "Licence" in card and "held out" in card.lower()
    assert (folder / "model.safetensors").stat().st_size < 16e6
    copy = tmp_path / "weights"
    shutil.copytree(WEIGHTS, copy)
    path = copy / name / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"{name}/model.safetensors is \w+, and shou"):
        course_folder(name, copy)
    path.unlink()
    with pytest.raises(ValueError, match="is missing"):
        course_folder(name, copy)


def test_teacher_and_student_know_plays_and_share_a_vocabulary():
    losses = []
    for name in ("teacher", "student"):
        model, tokenizer = load_model(name)
        assert len(tokenizer) == model.config.vocab_size == 1024
        text = "To be, or not to be?\n\t“ünï” 漢"
        assert tokenizer.decode(tokenizer(text).input_ids) == text
        windows = windows_of(tokenizer, held_out_text(), 128)["plays"][:8]
        losses.append(window_losses(model, windows).mean().item())
    teacher, student = losses
    assert teacher < student < UNIFORM / 2, "nats a token, of 6.9 for guessing"


def test_the_draft_shortens_smollm2s_decoding_and_changes_nothing(smollm2):
    target, tokenizer = smollm2
    draft, same = load_model("draft")
    assert same.get_vocab() == tokenizer.get_vocab()
    prompt = tuple(held_out_prompts(tokenizer, count=3)["plays"][1])
    request = Request(prompt, 16)
    plain = Engine(Llama(target), ContiguousCache(Shape.of(target)))
    quick = Engine(
        Llama(target), ContiguousCache(Shape.of(target)), draft=ModelDraft.of(draft)
    )
    assert generate(plain, [request]) == generate(quick, [request])
    assert quick.passes < 0.75 * plain.passes


def test_a_draft_comes_back_from_its_file_within_half_a_step(tmp_path, smollm2):
    target, _ = smollm2
    model = from_layers(target, [3])
    weight, tokens = target.model.embed_tokens.weight, torch.tensor([5, 2, 40])
    model.lm_head = FrequentHead(weight[tokens], tokens, len(weight))
    save_draft(model, tmp_path / "x" / "model.safetensors")
    back = draft_model(tmp_path / "x", cached_smollm2())
    for (name, w), w_hat in zip(
        model.model.named_parameters(), back.model.parameters(), strict=True
    ):
        half = w.abs().amax(-1, keepdim=True) / 254 if "proj" in name else 0
        assert ((w - w_hat).abs() <= half * 1.0001).all(), name
    assert torch.equal(back.lm_head.tokens, tokens)
    out = back(input_ids=torch.tensor([[1, 2, 3]])).logits
    assert out.isfinite().sum() == 3 * 3 and out[..., tokens].isfinite().all()


def test_a_frequent_head_never_draws_another_token(generator):
    head = FrequentHead(torch.randn(3, 4), torch.tensor([7, 0, 5]), 9)
    h = torch.randn(6, 4)
    out = head(h)
    assert torch.equal(out[:, [7, 0, 5]], h @ head.weight.T)
    assert out[:, [1, 2, 3, 4, 6, 8]].eq(-torch.inf).all()
    from lib.decode.sampling import distribution

    p = distribution(out, Sampling(temperature=1.0))
    assert p.sum(-1).allclose(torch.ones(6).double()) and p[:, 1].eq(0).all()
    with pytest.raises(ValueError, match="3 rows for 3 tokens, 2 of them different"):
        FrequentHead(torch.randn(3, 4), torch.tensor([7, 7, 5]), 9)
    with pytest.raises(ValueError, match="of a vocabulary of 6"):
        FrequentHead(torch.randn(3, 4), torch.tensor([7, 0, 5]), 6)


def test_the_list_names_every_file():
    listed = json.loads((WEIGHTS / "hashes.json").read_text())
    assert set(listed) == set(COURSE_MODELS)
    assert all("model.safetensors" in files for files in listed.values())


def test_no_prompt_that_measures_a_draft_was_read_in_training():
    tokenizer = load_model()[1]
    read = {name: " ".join(text.split()) for name, text in training_text().items()}
    asked = {tuple(chat) for chat in prompts.chat(tokenizer, prompts.questions())}
    held = held_out_prompts(tokenizer)
    for kind in ("plays", "help"):
        for prompt in held[kind]:
            said = " ".join(tokenizer.decode(prompt[1:-1]).split())
            assert said not in read[kind], f"trained on: {said}"
    assert not asked & {tuple(prompt) for prompt in held["chat"]}
