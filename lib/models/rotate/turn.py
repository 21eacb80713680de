"""Turn a model's channels by rotations, in its weights; what it computes stays.

    R1, the stream     E ← E R,   W ← W R of what reads it,   W ← Rᵀ W of what writes
    R2, a head         W_v ← Rᵀ W_v,   W_o ← W_o R,           head by head
    R4, before down    W_down ← W_down Hᵀ / √n,               x ← H x / √n online
    R3, keys           online alone: see online.py

Rows of tokens are vectors here: h ← h R. Attention mixes tokens and not channels, so a
head's values may be turned before it and turned back behind it. Queries that share a
value share its rotation. The rows of a product are computed in float64, and rounded
once to the dtype of the weights.

Nine heads have no Hadamard matrix: each head is turned by itself, and o_proj's inputs
are not mixed across heads, as QuaRot does where it can.

Read in order: `Rotations`, `draw_rotations`, `rotate_stream`, `rotate_heads`,
`rotate_down`, `rotate_keys`; `rotate_model`, which is all of them.
Sources: Ashkboos et al. 2024, "QuaRot", arXiv:2404.00456, section 4; Liu et al. 2024,
"SpinQuant", arXiv:2405.16406, figure 1, whose names R1 to R4 these are.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from lib.models.llama import feeds, head_dim, norm_feeds
from lib.models.rescale import set_parameter
from lib.models.rotate.fold import fold_norms, gain, unchanged, untie_head
from lib.models.rotate.online import inputs_of, set_inputs, set_reading
from lib.quant.rotations.hadamard import hadamard_transform
from lib.quant.rotations.orthogonal import random_hadamard, random_orthogonal

KINDS = {"hadamard": random_hadamard, "orthogonal": random_orthogonal}
ORTHOGONAL = 1e-4  # how far R Rᵀ may be from I: learned in float32


@dataclass(frozen=True, eq=False, repr=False)
class Rotations:
    """R1 of the stream and R2 of each layer's heads. ValueError for no rotations."""

    stream: Float[Tensor, "d d"]
    heads: Float[Tensor, "layers h h"]

    def __post_init__(self) -> None:
        """Refuse what is not orthogonal."""
        for name in ("stream", "heads"):
            check_orthogonal(name, getattr(self, name))

    def __repr__(self) -> str:
        """Sizes, and a fingerprint of the numbers."""
        both = torch.cat([self.stream.flatten(), self.heads.flatten()]).double().cpu()
        digest = hashlib.sha256(both.numpy().tobytes()).hexdigest()[:8]
        return f"Rotations({tuple(self.stream.shape)}, {digest})"


def check_orthogonal(name: str, r: Float[Tensor, "*n d d"]) -> None:
    """ValueError unless R Rᵀ = I, for each of a stack."""
    r = r.double()
    off = (r @ r.mT - torch.eye(r.shape[-1], dtype=r.dtype, device=r.device)).abs()
    if not off.amax() < ORTHOGONAL:
        raise ValueError(f"{name}: R Rᵀ is {off.amax().item():.2g} away from I")


def draw_rotations(
    model: PreTrainedModel, seed: int = 0, kind: str = "hadamard"
) -> Rotations:
    """R1 and R2 of a model by random signs and Hadamard, or "orthogonal", by Haar.

    ValueError for another kind, and for a width without a Hadamard matrix.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is none of {', '.join(KINDS)}")
    draw, config = torch.Generator().manual_seed(seed), model.config
    stream = KINDS[kind](config.hidden_size, draw)
    layers = range(config.num_hidden_layers)
    heads = [KINDS[kind](head_dim(config), draw) for _ in layers]
    return Rotations(stream, torch.stack(heads))


@torch.no_grad()
def rotate_stream(model: PreTrainedModel, r: Float[Tensor, "d d"]) -> None:
    """R1, in place: h ← h R in the whole residual stream.

    ValueError where a norm still has a gain, or the head is tied.
    """
    for feed in norm_feeds(model):
        if not torch.allclose(own := gain(feed.source), torch.ones_like(own)):
            raise ValueError(f"{feed.name} has a gain: call `fold_norms` first")
        for reader in feed.readers.values():
            turned = reader.weight.double() @ _as(r, reader.weight)
            set_parameter(reader, "weight", turned)
    for end in (model.get_input_embeddings(), model.get_output_embeddings()):
        set_parameter(end, "weight", end.weight.double() @ _as(r, end.weight))
    for writer in _readers_of(model, "v_proj", "up_proj"):  # o_proj and down_proj
        turned = _as(r, writer.weight)
        set_parameter(writer, "weight", turned.T @ writer.weight.double())
        if writer.bias is not None:
            set_parameter(writer, "bias", writer.bias.double() @ turned)


@torch.no_grad()
def rotate_heads(model: PreTrainedModel, heads: Float[Tensor, "layers h h"]) -> None:
    """R2, in place: each layer's values turned head by head, and turned back in o_proj.

    ValueError for another number of layers.
    """
    found = [feed for feed in feeds(model) if feed.name.endswith("v_proj")]
    for feed, rotation in zip(found, heads, strict=True):
        v, (o,) = feed.source, feed.readers.values()
        r = _as(rotation, v.weight)
        rows = v.weight.double().unflatten(0, (-1, len(r)))  # (kv_heads, h, d)
        set_parameter(v, "weight", (r.T @ rows).flatten(0, 1))
        if v.bias is not None:
            set_parameter(v, "bias", (v.bias.double().view(-1, len(r)) @ r).flatten())
        columns = o.weight.double().unflatten(1, (-1, len(r)))  # (d, heads, h)
        set_parameter(o, "weight", (columns @ r).flatten(1))


@torch.no_grad()
def rotate_down(model: PreTrainedModel) -> None:
    """R4, in place: Hᵀ in down_proj's weights, H before it, online.

    ValueError for a width that has no Hadamard matrix.
    """
    for down in _readers_of(model, "up_proj"):
        if inputs_of(down).hadamard:
            raise ValueError("down_proj is rotated already")
        set_parameter(down, "weight", hadamard_transform(down.weight.double()))
        set_inputs(down, replace(inputs_of(down), hadamard=True))


def rotate_keys(model: PreTrainedModel) -> None:
    """R3, in place: queries and keys by H behind the rotary embedding, online."""
    hadamard_transform(torch.zeros(head_dim(model.config)))  # refuses a size without H
    set_reading(model, hadamard=True)


def rotate_model(
    model: PreTrainedModel,
    rotations: Rotations | None = None,
    *,
    online: bool = True,
) -> None:
    """Untie, fold, and turn by `rotations` (by default drawn with seed 0), in place.

    `online` adds R3 and R4. ValueError as the parts of it, and where the model then
    computes something else; it is then as it was.
    """
    rotations = rotations or draw_rotations(model)
    with unchanged(model):
        untie_head(model)
        fold_norms(model)
        rotate_stream(model, rotations.stream)
        rotate_heads(model, rotations.heads)
        if online:
            rotate_down(model)
            rotate_keys(model)


def _readers_of(model: PreTrainedModel, *sources: str) -> Iterator[nn.Linear]:
    """The layers that read these, in the order of the model."""
    for feed in feeds(model):
        if feed.name.endswith(sources):
            yield from feed.readers.values()


def _as(r: Tensor, weight: Tensor) -> Tensor:
    """The rotation in float64, where the weight is."""
    return r.to(weight.device, torch.float64)
