"""Make room for a rotation: a head of its own, and norms without a gain.

    W (g ∘ h/rms(h)) = (W diag g) (h/rms(h))        rms(Q h) = rms(h) for orthogonal Q

A norm without a gain commutes with any rotation of the stream, and one with a gain with
none. So the gains go into the columns of the layers that read them: the last norm's
into the head. Where that is the embedding's matrix, untie it first, or the embedding
would get the gain as well.

What a norm multiplies by is asked of the norm: Llama's by its weight g, Gemma's by
1 + g. A LayerNorm subtracts a mean, which no rotation keeps: it is refused.

Read in order: `untie_head`, `gain`, `fold_norms`, `unchanged`.
Source: Ashkboos et al. 2024, "SliceGPT", arXiv:2401.15024, section 3.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from lib.models.llama import norm_feeds
from lib.models.rescale import PROBE, TOLERANCE, set_parameter
from lib.models.sequential import restored_on_failure


def untie_head(model: PreTrainedModel) -> None:
    """Give the head a copy of the matrix that it shares with the embedding, in place.

    The configuration says so from then on. A head of its own stays.
    """
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head.weight is embedding.weight:
        own = embedding.weight.detach().clone()
        head.weight = nn.Parameter(own, requires_grad=embedding.weight.requires_grad)
    model.config.tie_word_embeddings = False


@torch.no_grad()
def gain(norm: nn.Module) -> Float[Tensor, " channels"]:
    """What the norm multiplies each channel by: what it makes of 1, 1, …, 1.

    ValueError for a norm that subtracts the mean, or adds something.
    """
    large = 2.0**10  # so that ε, beside its square, is nothing
    ones = torch.full_like(norm.weight, large)[None, None]
    made, opposite = norm(ones)[0, 0], norm(-ones)[0, 0]
    mixed = torch.ones_like(ones)
    mixed[..., ::2] = -1
    mean_free = norm(large * mixed)[0, 0] * mixed[0, 0]
    if not (torch.equal(made, -opposite) and torch.equal(made, mean_free)):
        raise ValueError(
            f"{type(norm).__name__} does more than divide by a root mean square: "
            "it does not commute with a rotation"
        )
    return made


@torch.no_grad()
def fold_norms(model: PreTrainedModel) -> None:
    """Fold every gain into the layers that read it, in place; the model stays.

    ValueError for a head that is tied, a norm that `gain` refuses, what is not
    Llama-shaped, and a model that then computes something else.
    """
    head = model.get_output_embeddings()
    if head.weight is model.get_input_embeddings().weight:
        raise ValueError("the head is tied to the embedding: call `untie_head` first")
    found = [(f.source, list(f.readers.values())) for f in norm_feeds(model)]
    with unchanged(model):
        for norm, readers in [*found, (last_norm(model), [head])]:
            own = gain(norm)
            for reader in readers:
                set_parameter(reader, "weight", reader.weight * own)
            set_parameter(norm, "weight", torch.zeros_like(norm.weight))
            neutral = 1 - gain(norm)  # Llama's norms get a weight of 1, Gemma's of 0
            set_parameter(norm, "weight", neutral)


def last_norm(model: PreTrainedModel) -> nn.Module:
    """The norm before the head; ValueError for a model without one."""
    norm = getattr(model.base_model, "norm", None)
    if norm is None:
        raise ValueError(f"{type(model).__name__} has no norm before its head")
    return norm


@contextmanager
def unchanged(model: PreTrainedModel) -> Iterator[None]:
    """ValueError where a `with` block changes the model's logits, and all is undone.

    Tried on a few tokens; what rounding does to their sums is no change.
    """
    with restored_on_failure(model):
        plain = probe(model)
        yield
        share = ((probe(model) - plain).abs().amax() / plain.abs().amax()).item()
        if not share < TOLERANCE:
            raise ValueError(
                f"{type(model).__name__} would not compute what it did: its logits "
                f"move by {share:.1%} of their largest"
            )


@torch.no_grad()
def probe(model: PreTrainedModel) -> Float[Tensor, "1 tokens vocabulary"]:
    """The logits of a few tokens, in float32."""
    embeddings = model.get_input_embeddings().weight
    ids = torch.arange(PROBE, device=embeddings.device)[None] % len(embeddings)
    return model(ids, use_cache=False).logits.float()
