"""A Llama-shaped model's forward pass, written out, over a ragged batch of spans.

    h ← h + O · attention(R_t Q n, R_s K n, V n)      n = norm(h)
    h ← h + D · (silu(G n) ⊙ U n)                     n = norm(h)
    logits = head(norm(h))                            norm(x) = g ⊙ x / √(mean x² + ε)

R_t turns the channels j and j + d/2 of every head by the angle t·f_j, where t is the
token's position. So a product of a turned query with a turned key knows how far apart
the two are, and not where.

A *span* is a run of tokens that go on where the cache of their sequence ends: a prompt,
a piece of one, the last token, or a draft that is to be checked. The spans of a batch
stand one behind another on one axis, so nothing is padded. Every product sees all
tokens of the batch; only attention looks at each span with its own text.

Weights, and layers that hold codes in their place, are those of a transformers model.

Read in order: `Span`, `Llama`, `attention`, `rotated`, `norm`; `alike`.
Source: Touvron et al. 2023, arXiv:2302.13971; rotation: Su et al. 2021,
arXiv:2104.09864; grouped queries: Ainslie et al. 2023, arXiv:2305.13245.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import silu
from transformers import PreTrainedModel

from lib.decode.cache import Cache
from lib.models.rotate.online import readings

MODELS = ("llama", "mistral", "qwen2")  # transformers' names of what has this pass
GROWING = ("dynamic", "longrope")  # angles that depend on how long the text is


@dataclass(frozen=True)
class Span:
    """Tokens that follow those that the cache holds of `sequence`.

    Logits are wanted for its last `logits` tokens: 0 for a piece of a prompt that is
    not its end, 1 to go on, K + 1 to check a draft of K.
    """

    sequence: int
    tokens: tuple[int, ...]
    logits: int = 1

    def __post_init__(self) -> None:
        """Refuse a span of nothing, and logits of tokens that it does not have."""
        if not self.tokens or not 0 <= self.logits <= len(self.tokens):
            raise ValueError(
                f"a span of {len(self.tokens)} tokens with {self.logits} rows of logits"
            )


class Llama:
    """The pass of a transformers model; ValueError for one that computes otherwise."""

    def __init__(self, model: PreTrainedModel) -> None:
        config = model.config
        if config.model_type not in MODELS:
            raise ValueError(f"{config.model_type} is none of {', '.join(MODELS)}")
        if config.hidden_act != "silu":
            raise ValueError(f"an activation of {config.hidden_act!r}, not silu")
        if getattr(config, "use_sliding_window", True) and getattr(
            config, "sliding_window", None
        ):
            raise ValueError(f"attention slides over {config.sliding_window} tokens")
        rope = model.model.rotary_emb
        if rope.rope_type in GROWING:
            raise ValueError(
                f"angles of the kind {rope.rope_type!r} depend on the text"
            )
        if any(one.settings["bits"] for one in readings(model)):
            raise ValueError(
                "attention rounds keys and values online: take a cache of few bits"
            )
        self.embedding, self.head = model.model.embed_tokens, model.lm_head
        self.blocks, self.last_norm = model.model.layers, model.model.norm
        self.bridge: nn.Module = nn.Identity()  # an early exit has one: drafts.py
        self.frequencies, self.gain = rope.inv_freq, rope.attention_scaling
        self.config = config

    @torch.inference_mode()
    def __call__(
        self, spans: Sequence[Span], cache: Cache
    ) -> Float[Tensor, "rows vocabulary"]:
        """Run the spans, whose keys and values join the cache; the logits they want.

        A failed pass leaves every sequence as long as it was. ValueError for a sequence
        that has two spans, and a token outside the vocabulary; `Full` where the cache
        has no room, before anything is computed.
        """
        starts = {span.sequence: cache.length(span.sequence) for span in spans}
        if len(starts) < len(spans):
            raise ValueError("a sequence has two spans in one batch")
        tokens = torch.tensor([token for span in spans for token in span.tokens])
        if tokens.numel() == 0:
            raise ValueError("a batch of no spans")
        vocabulary = self.embedding.num_embeddings
        if tokens.min() < 0 or tokens.max() >= vocabulary:
            wrong = tokens[(tokens < 0) | (tokens >= vocabulary)][0]
            raise ValueError(f"token {wrong} is outside a vocabulary of {vocabulary}")
        cache.extend({span.sequence: len(span.tokens) for span in spans})
        try:
            return self.forward(tokens, starts, spans, cache)
        except BaseException:
            for sequence, length in starts.items():
                cache.truncate(sequence, length)
            raise

    def forward(
        self,
        tokens: Tensor,
        starts: dict[int, int],
        spans: Sequence[Span],
        cache: Cache,
    ) -> Float[Tensor, "rows vocabulary"]:
        """The three equations, over all tokens of the batch."""
        device = self.embedding.weight.device
        turn = self.turns(
            torch.cat([starts[s.sequence] + torch.arange(len(s.tokens)) for s in spans])
        )
        groups = alike(spans)
        h = self.embedding(tokens.to(device))
        for index, block in enumerate(self.blocks):
            n = norm(h, block.input_layernorm)
            q, k, v = self.projected(block.self_attn, n, turn)
            cache.write(index, k, v)
            mixed = torch.empty_like(q)
            for size, sequences, rows in groups:
                known = cache.read(index, sequences)
                seen = attention(q[rows].unflatten(0, (-1, size)), *known)
                mixed[rows] = seen.flatten(0, 1)
            h = h + block.self_attn.o_proj(mixed.flatten(1))
            n, mlp = norm(h, block.post_attention_layernorm), block.mlp
            h = h + mlp.down_proj(silu(mlp.gate_proj(n)) * mlp.up_proj(n))
        h = self.bridge(h[wanted_rows(spans)])
        return self.head(norm(h, self.last_norm))

    def projected(
        self, layer: nn.Module, n: Tensor, turn: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (tokens, heads, channels); the first two turned."""
        heads = (-1, 2 * len(self.frequencies))
        q, k, v = (
            part(n).unflatten(1, heads)
            for part in (layer.q_proj, layer.k_proj, layer.v_proj)
        )
        return rotated(q, turn), rotated(k, turn), v

    def turns(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine of t·f_j, (tokens, 1, channels/2) each, in float32's care."""
        weight = self.embedding.weight
        angles = positions.to(weight.device)[:, None].float() * self.frequencies.float()
        cos, sin = angles.cos() * self.gain, angles.sin() * self.gain
        return cos.to(weight.dtype)[:, None], sin.to(weight.dtype)[:, None]


def attention(
    q: Float[Tensor, "spans n heads d"],
    keys: Float[Tensor, "spans longest kv_heads d"],
    values: Float[Tensor, "spans longest kv_heads d"],
    lengths: Int[Tensor, " spans"],
) -> Float[Tensor, "spans n heads d"]:
    """softmax(q kᵀ / √d) v for the last n tokens of each text; each sees those before
    it.

    What lies behind a text's own length is nobody's. `heads / kv_heads` queries share a
    key. The softmax is taken in float32.
    """
    n, d, kv_heads = q.shape[1], q.shape[3], keys.shape[2]
    keys, values = (
        keys.transpose(1, 2),
        values.transpose(1, 2),
    )  # (spans, kv, longest, d)
    shared = q.unflatten(2, (kv_heads, -1)).permute(
        0, 2, 3, 1, 4
    )  # (spans, kv, g, n, d)
    scores = shared.flatten(2, 3) @ keys.transpose(2, 3) * d**-0.5
    scores = scores.unflatten(2, (-1, n))  # (spans, kv, g, n, longest)
    own = lengths[:, None] - n + torch.arange(n, device=q.device)  # each query's place
    later = torch.arange(keys.shape[2], device=q.device) > own[..., None]
    scores = scores.masked_fill(later[:, None, None], -torch.inf)
    weights = scores.softmax(-1, dtype=torch.float32).to(q.dtype)
    mixed = weights.flatten(2, 3) @ values  # (spans, kv, g·n, d)
    return mixed.unflatten(2, (-1, n)).permute(0, 3, 1, 2, 4).flatten(2, 3)


def rotated(
    x: Float[Tensor, "tokens heads d"], turn: tuple[Tensor, Tensor]
) -> Float[Tensor, "tokens heads d"]:
    """Turn each pair of channels, j and j + d/2, by its angle."""
    (cos, sin), (a, b) = turn, x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def norm(x: Float[Tensor, "tokens hidden"], layer: nn.Module) -> Tensor:
    """x by its root mean square, in float32, times the gain of transformers' layer."""
    wide = x.float()
    scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + layer.variance_epsilon)
    return layer.weight * (wide * scale).to(x.dtype)


def alike(spans: Sequence[Span]) -> list[tuple[int, list[int], Tensor]]:
    """Spans of one length, for attention at once: their size, sequences and rows."""
    groups: dict[int, tuple[list[int], list[Tensor]]] = {}
    end = 0
    for span in spans:
        size = len(span.tokens)
        sequences, rows = groups.setdefault(size, ([], []))
        sequences.append(span.sequence)
        rows.append(torch.arange(end, end + size))
        end += size
    return [(size, names, torch.cat(rows)) for size, (names, rows) in groups.items()]


def wanted_rows(spans: Sequence[Span]) -> list[int]:
    """The rows of a batch whose logits are wanted."""
    ends = [0]
    for span in spans:
        ends.append(ends[-1] + len(span.tokens))
    return [
        row
        for span, (_, end) in zip(spans, pairwise(ends), strict=True)
        for row in range(end - span.logits, end)
    ]
