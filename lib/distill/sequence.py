"""Sequence level: learn from texts that a model wrote.

    word level        Σ_t KL(p(· | y_<t) ‖ q(· | y_<t)) over a text y that is given
    sequence level    KL(p(y) ‖ q(y)) = E_{y ~ p} Σ_t KL(p(· | y_<t) ‖ q(· | y_<t))

By the chain rule the second is the first, on texts that the *teacher* wrote: a sample
of them is all that it takes. With texts that the *student* wrote, and the divergence
the other way round, it is KL(q(y) ‖ p(y)): on-policy distillation. A student is then
corrected where it goes, and not only where a teacher would have gone.

Read in order: `text_divergences`, `on_policy_loss`, `write`, `left_padded`.
Source: Kim & Rush 2016, arXiv:1606.07947; on-policy: Agarwal et al. 2023,
arXiv:2306.13649.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lib.distill.losses import divergence
from lib.progress import progress


def text_divergences(
    student: nn.Module,
    teacher: nn.Module,
    texts: Int[Tensor, "n length"],
    prompt: int,
    *,
    beta: float = 0.0,
) -> Float[Tensor, " n"]:
    """Σ_t D_β at each token behind the first `prompt`, of each text.

    Over texts that the teacher drew its mean is KL(p(y) ‖ q(y)) at β = 0; over texts
    that the student drew, KL(q(y) ‖ p(y)) at β = 1. ValueError for no prompt, or
    nothing behind it.
    """
    if not 0 < prompt < texts.shape[1]:
        raise ValueError(f"a prompt of {prompt} in texts of {texts.shape[1]} tokens")
    with torch.no_grad():
        known = teacher(input_ids=texts, use_cache=False).logits
    logits = student(input_ids=texts, use_cache=False).logits
    places = slice(prompt - 1, -1)  # the logits at t predict token t + 1
    return divergence(logits[:, places], known[:, places], beta=beta).sum(-1)


def on_policy_loss(
    student: nn.Module,
    teacher: nn.Module,
    prompts: Int[Tensor, "n prompt"],
    new_tokens: int,
    *,
    beta: float = 1.0,
    seed: int = 0,
) -> Float[Tensor, ""]:
    """The student writes, the teacher scores: the mean over tokens of D_β.

    No gradient goes through the drawing, as in GKD. ValueError as `write`.
    """
    was, length = student.training, prompts.shape[1]
    new = write(student.eval(), prompts.tolist(), new_tokens, seed=seed)
    texts = torch.cat((prompts, torch.tensor(new, device=prompts.device)), 1)
    student.train(was)
    each = text_divergences(student, teacher, texts, length, beta=beta)
    return each.mean() / new_tokens


@torch.inference_mode()
def write(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    *,
    temperature: float = 1.0,
    stop: int | None = None,
    seed: int = 0,
    batch: int = 64,
) -> list[list[int]]:
    """What `model` adds to each prompt: up to `new_tokens`, or to `stop`, kept.

    Temperature 0 is greedy. Prompts of like lengths share a batch; draws are made from
    the seed and a batch's place. ValueError for no tokens, an empty prompt, and a
    temperature below 0.
    """
    if new_tokens < 1 or batch < 1 or not temperature >= 0:
        raise ValueError(f"{new_tokens=}, {batch=}, {temperature=}")
    if not all(prompts):
        raise ValueError("a prompt is empty")
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    written: list[list[int]] = [[] for _ in prompts]
    device = model.get_input_embeddings().weight.device
    for start in progress(range(0, len(order), batch), "writing"):
        chosen = order[start : start + batch]
        draw = torch.Generator(device).manual_seed(seed * 1_000_003 + start)
        texts = [prompts[i] for i in chosen]
        new = _continue(model, texts, new_tokens, temperature, stop, draw)
        for i, tokens in zip(chosen, new.tolist(), strict=True):
            end = tokens.index(stop) + 1 if stop in tokens else len(tokens)
            written[i] = tokens[:end]
    return written


def _continue(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    temperature: float,
    stop: int | None,
    draw: torch.Generator,
) -> Int[Tensor, "n new"]:
    """One batch, until every text has ended or is long enough."""
    ids, known = left_padded(prompts)
    ids, known = ids.to(draw.device), known.to(draw.device)
    places, cache, new = known.cumsum(-1) - 1, None, []
    ended = torch.zeros(len(ids), dtype=torch.bool, device=draw.device)
    for _ in range(new_tokens):
        out = model(
            input_ids=ids,
            attention_mask=known.long(),
            position_ids=places.clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = out.past_key_values
        ids = chosen(out.logits[:, -1], temperature, draw)[:, None]
        new.append(ids)
        known = torch.cat((known, torch.ones_like(known[:, :1])), 1)
        places = places[:, -1:] + 1
        ended |= ids[:, 0] == (-1 if stop is None else stop)
        if ended.all():
            break
    return torch.cat(new, 1)


def chosen(
    logits: Float[Tensor, "n vocabulary"], temperature: float, draw: torch.Generator
) -> Int[Tensor, " n"]:
    """The likeliest token of each row at temperature 0, else one drawn."""
    if temperature == 0:
        return logits.argmax(-1)
    p = (logits.float() / temperature).softmax(-1)
    return torch.multinomial(p, 1, generator=draw)[:, 0]


def left_padded(
    texts: Sequence[Sequence[int]],
) -> tuple[Int[Tensor, "n longest"], Bool[Tensor, "n longest"]]:
    """Texts that end at the same place, and which of the tokens are theirs."""
    longest = max(map(len, texts))
    ids = torch.zeros(len(texts), longest, dtype=torch.long)
    known = torch.zeros(len(texts), longest, dtype=torch.bool)
    for row, text in enumerate(texts):
        ids[row, longest - len(text) :] = torch.tensor(text)
        known[row, longest - len(text) :] = True
    return ids, known
