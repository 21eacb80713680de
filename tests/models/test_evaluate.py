import math

import pytest
import torch

from lib.models.evaluate import (
    EvaluationProtocol,
    generate,
    next_token,
    perplexity,
    window_losses,
)

WINDOWS = torch.arange(36).view(4, 9)


def test_the_anchor_hamlet_has_perplexity_29(smollm2):
    """29.0 was measured elsewhere to one decimal; half of that is the tolerance."""
    model, tokenizer = smollm2
    windows = EvaluationProtocol().windows(tokenizer)
    assert windows.shape == (8, 512)
    assert perplexity(model, windows) == pytest.approx(29.0, abs=0.05)


def test_a_model_that_knows_nothing_is_as_perplexed_as_its_vocabulary(tiny_llama):
    tiny_llama.model.norm.weight.zero_()  # so every logit is 0, every token 1 in 40
    assert perplexity(tiny_llama, WINDOWS) == pytest.approx(40, rel=1e-6)


def test_it_is_the_definition_and_no_batching_changes_it(tiny_llama):
    total, count = 0.0, 0
    for window in WINDOWS:
        log_p = tiny_llama(window[None]).logits[0].double().log_softmax(-1)
        for t in range(1, 9):
            total, count = total - log_p[t - 1, window[t]].item(), count + 1
    assert count == 4 * 8, "a window of 9 tokens holds 8 predictions"
    for batch in (1, 2, 3, 4, 99):
        found = perplexity(tiny_llama, WINDOWS, batch=batch)
        assert found == pytest.approx(math.exp(total / count), rel=1e-6)
    losses = window_losses(tiny_llama, WINDOWS)
    assert losses.shape == (4,) and losses.dtype == torch.float64


def test_windows_do_not_see_each_other(tiny_llama):
    together = window_losses(tiny_llama, WINDOWS, batch=4)
    shuffled = window_losses(tiny_llama, WINDOWS[[2, 0, 3, 1]], batch=2)
    torch.testing.assert_close(shuffled, together[[2, 0, 3, 1]])


def test_half_precision_weights_give_nearly_the_same(tiny_llama):
    exact = perplexity(tiny_llama, WINDOWS)
    half = perplexity(tiny_llama.bfloat16(), WINDOWS)
    assert half == pytest.approx(exact, rel=2**-7)  # bf16 keeps 8 bits


def test_a_broken_model_is_infinitely_perplexed_or_nan(tiny_llama):
    tiny_llama.model.norm.weight.fill_(1e6)
    assert perplexity(tiny_llama, WINDOWS) > 1e100
    tiny_llama.model.norm.weight.fill_(math.nan)
    assert math.isnan(perplexity(tiny_llama, WINDOWS))


@pytest.mark.parametrize(
    ("windows", "batch", "message"),
    [
        (WINDOWS[:0], 2, r"windows of shape \(0, 9\) hold no prediction"),
        (WINDOWS[:, :1], 2, r"windows of shape \(4, 1\) hold no prediction"),
        (WINDOWS + 5, 2, r"tokens 5..40 do not fit the model's vocabulary of 40"),
        (WINDOWS - 1, 2, r"tokens -1..34 do not fit"),
        (WINDOWS, 0, r"batch=0 must be 1 or more"),
    ],
)
def test_windows_that_cannot_be_asked(tiny_llama, windows, batch, message):
    with pytest.raises(ValueError, match=message):
        perplexity(tiny_llama, windows, batch=batch)


def test_the_protocol_prints_itself_and_refuses_crooked_windows():
    line = str(EvaluationProtocol("the-tempest", tokens=1024, window=256))
    assert "the-tempest" in line and "4 windows of 256, 255 predictions" in line
    for tokens, window in ((4096, 500), (0, 512), (256, 512), (4, 1)):
        with pytest.raises(ValueError, match=f"tokens={tokens} .*window={window}"):
            EvaluationProtocol(tokens=tokens, window=window)


def test_greedy_agrees_with_transformers_own_generation(smollm2):
    model, tokenizer = smollm2
    prompt = "The quality of mercy is not"
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    theirs = model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
    ours = generate(model, tokenizer, prompt, max_new_tokens=12)
    assert ours == tokenizer.decode(theirs, skip_special_tokens=True)


def test_sampling_repeats_with_its_seed(smollm2):
    model, tokenizer = smollm2

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        settings = {"max_new_tokens": 8, "temperature": 1.0, "generator": generator}
        return generate(model, tokenizer, "Once upon a time", **settings)

    assert draw(0) == draw(0) != draw(1)


def test_draws_follow_the_nucleus():
    """5,000 draws: each frequency within 4.5 standard deviations of its probability."""
    p = torch.tensor([0.5, 0.25, 0.15, 0.1])
    kept = torch.tensor([0.5, 0.25, 0.15, 0.0]) / 0.9  # 0.75 < top_p: the third enters
    generator = torch.Generator().manual_seed(0)
    settings = {"temperature": 1.0, "top_p": 0.8, "generator": generator}
    draws = [next_token(p.log(), **settings) for _ in range(5000)]
    counts = torch.bincount(torch.tensor(draws), minlength=4)
    assert counts[3] == 0, "a token outside the nucleus was drawn"
    sigma = (kept * (1 - kept) * 5000).sqrt()
    assert ((counts - 5000 * kept).abs() <= 4.5 * sigma).all()


def test_a_low_temperature_and_a_small_nucleus_are_greedy():
    logits = torch.tensor([0.1, 2.0, -1.0])
    generator = torch.Generator().manual_seed(0)
    for settings in ({}, {"temperature": 1e-3}, {"temperature": 1.0, "top_p": 1e-6}):
        assert next_token(logits, generator=generator, **settings) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1.0}, r"temperature=-1.0 must be finite"),
        ({"temperature": math.nan}, r"temperature=nan must be finite"),
        ({"top_p": 0.0}, r"top_p=0.0 must lie in"),
        ({"temperature": 1.0}, r"pass a generator"),
        ({"max_new_tokens": 0}, r"max_new_tokens=0"),
        ({"max_new_tokens": 9000}, r"exceed the context of 8192"),
    ],
)
def test_generation_refuses(smollm2, settings, message):
    with pytest.raises(ValueError, match=message):
        generate(*smollm2, "Hello", **settings)


def test_an_empty_prompt_is_refused(smollm2):
    with pytest.raises(ValueError, match="a prompt of 0 tokens"):
        generate(*smollm2, "")
