"""How often a target accepts what a draft guesses, on texts that the target writes.

    greedy    share of places where both have the same likeliest token
    sampled   mean of Σ min(p, q), on texts drawn from the target

These are the acceptance of the *next* token, given the target's own text. A draft of K
tokens is read further only where all tokens before were accepted, so its tokens a pass
are (1 − α^(K+1)) / (1 − α) only if places were independent. They are not, and greedy
texts of a small model loop, where every draft is right: so `before_loop` counts the
places before a run of 8 tokens occurs for a second time.

Read in order: `Texts`, `target_texts`, `Reading`, `read`, `acceptance`, `loop_start`.
Source: Leviathan et al. 2023, arXiv:2211.17192, theorem 3.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.distill.losses import overlap
from lib.distill.sequence import write

RUN = 8  # tokens that, seen for a second time, are the beginning of a loop


@dataclass(frozen=True)
class Texts:
    """Prompts and what the target added, greedily and by draws at temperature 1."""

    prompts: list[list[int]]
    greedy: list[list[int]]
    sampled: list[list[int]]


def target_texts(
    target: nn.Module,
    prompts: list[list[int]],
    new_tokens: int,
    *,
    stop: int | None = None,
    seed: int = 0,
) -> Texts:
    """What the target adds to each prompt, both ways."""
    ways = (
        write(target, prompts, new_tokens, temperature=t, stop=stop, seed=seed)
        for t in (0.0, 1.0)
    )
    return Texts(prompts, *ways)


@dataclass(frozen=True)
class Reading:
    """Of each greedy text, where both agree; of each sampled one, Σ min(p, q)."""

    texts: Texts
    agree: list[list[bool]]
    overlaps: list[Float[Tensor, " new"]]


@torch.inference_mode()
def read(draft: nn.Module, target: nn.Module, texts: Texts) -> Reading:
    """Both models read every text once."""
    agree, overlaps = [], []
    for prompt, new in zip(texts.prompts, texts.greedy, strict=True):
        d, t = added_logits(draft, prompt, new), added_logits(target, prompt, new)
        agree.append((d.argmax(-1) == t.argmax(-1)).tolist())
    for prompt, new in zip(texts.prompts, texts.sampled, strict=True):
        d, t = added_logits(draft, prompt, new), added_logits(target, prompt, new)
        overlaps.append(overlap(d, t).cpu())
    return Reading(texts, agree, overlaps)


def acceptance(reading: Reading) -> dict[str, float]:
    """Shares of accepted tokens: `greedy`, `before_loop`, `sampled`.

    `sampled_spread` is the standard deviation of the texts' own means.
    """
    greedy = [same for text in reading.agree for same in text]
    fresh = [
        same
        for text, new in zip(reading.agree, reading.texts.greedy, strict=True)
        for same in text[: loop_start(new)]
    ]
    means = torch.stack([shared.mean() for shared in reading.overlaps])
    return {
        "greedy": sum(greedy) / len(greedy),
        "before_loop": sum(fresh) / len(fresh),
        "sampled": float(torch.cat(reading.overlaps).mean()),
        "sampled_spread": float(means.std()) if len(means) > 1 else 0.0,
    }


def added_logits(
    model: nn.Module, prompt: Sequence[int], new: Sequence[int]
) -> Float[Tensor, "new vocabulary"]:
    """The logits from which each of the new tokens came, or would have come."""
    device = model.get_input_embeddings().weight.device
    ids = torch.tensor([[*prompt, *new]], device=device)
    return model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]


def loop_start(tokens: Sequence[int], run: int = RUN) -> int:
    """How many tokens there are before one run of `run` tokens has occurred twice."""
    seen: set[tuple[int, ...]] = set()
    for end in range(run, len(tokens) + 1):
        piece = tuple(tokens[end - run : end])
        if piece in seen:
            return end - run
        seen.add(piece)
    return len(tokens)
