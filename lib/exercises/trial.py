"""SmolLM2 with somebody's weights in it: what they come to, measured once a process.

A homework ends on a real model, and a class hands in the same few answers to it many
times over. So the model is loaded when first asked for, its inputs are watched once,
and a perplexity is remembered by the SHA-256 of the weights that it belongs to.

    fp32 = perplexity_with(lambda name, w: w)
    rounded = perplexity_with(lambda name, w: fake_quantize(w, bits=4, group=64))
    short = continued_with(lambda keys, values: (fewer(keys), fewer(values)))

Read in order: `smollm2`, `perplexity_with`, `continued_with`, `mean_squares`,
`second_moments`.
"""

from collections.abc import Callable, Iterable
from contextlib import redirect_stderr
from functools import cache
from hashlib import sha256
from io import StringIO

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from lib.data.text import read_text, token_windows
from lib.models.evaluate import EvaluationProtocol, perplexity
from lib.models.hooks import stream_inputs
from lib.models.load import load_model
from lib.models.walk import Mapper, linear_layers, mapped_weights

HAMLET = EvaluationProtocol("hamlet", tokens=256, window=256)  # measured on
KING_LEAR = EvaluationProtocol("king-lear", tokens=128, window=128)  # calibrated on
SCENE = EvaluationProtocol("hamlet", tokens=378, window=378)  # read, then continued
CHARACTERS = 16  # of a text that are read for each token: four make one, as a rule

CacheMapper = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
_measured: dict[bytes, float] = {}


@cache
def smollm2() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model and the tokenizer that all trials share: leave the weights as found."""
    return load_model("smollm2")


def perplexity_with(
    fn: Mapper,
    names: Iterable[str] | None = None,
    protocol: EvaluationProtocol = HAMLET,
) -> float:
    """Perplexity with each layer's weight w replaced by fn(name, w), for this once.

    `fn` gets copies; it must keep shapes and return finite floating-point numbers, else
    ValueError. `names` selects layers (all but the head otherwise).
    """
    model, _ = smollm2()
    seen = sha256(repr(protocol).encode())

    def witnessed(name: str, weight: Tensor) -> Tensor:
        new = fn(name, weight.clone())
        seen.update(f"{name} {tuple(new.shape)}".encode())
        seen.update(new.to(weight).contiguous().numpy())
        return new

    with redirect_stderr(StringIO()), mapped_weights(model, witnessed, names):
        if seen.digest() not in _measured:
            _measured[seen.digest()] = perplexity(model, windows(protocol))
    return _measured[seen.digest()]


def continued_with(
    fn: CacheMapper, read: int = 250, protocol: EvaluationProtocol = SCENE
) -> float:
    """Perplexity of a text's end, its first `read` tokens remembered as fn would.

    The model reads those; then fn(keys, values), both (read, heads, d), stands in for
    what each layer remembers of them, and the rest follows. `fn` gets copies, and must
    keep shapes and return finite numbers, else ValueError.
    """
    model, _ = smollm2()
    seen, made = sha256(repr((protocol, read)).encode()), []
    for layer, (keys, values) in enumerate(_remembered(read, protocol)):
        new = fn(keys.clone(), values.clone())
        for was, now in zip((keys, values), new, strict=True):
            if now.shape != was.shape or not now.isfinite().all():
                raise ValueError(
                    f"layer {layer}: {tuple(now.shape)} for {tuple(was.shape)}, or not "
                    "finite"
                )
            seen.update(now.to(was).contiguous().numpy())
        made.append(tuple(x.to(keys).transpose(0, 1)[None] for x in new))
    if seen.digest() not in _measured:
        (text,) = windows(protocol)
        with torch.inference_mode():
            cache = DynamicCache(made)
            logits = model(text[None, read:], past_key_values=cache).logits[0]
        loss = cross_entropy(logits[:-1], text[read + 1 :])
        _measured[seen.digest()] = loss.exp().item()
    return _measured[seen.digest()]


@cache
def _remembered(
    read: int, protocol: EvaluationProtocol
) -> list[tuple[Float[Tensor, "read heads d"], Float[Tensor, "read heads d"]]]:
    """Each layer's keys and values of a text's first `read` tokens."""
    (text,) = windows(protocol)
    with torch.inference_mode():
        known = smollm2()[0](text[None, :read]).past_key_values
    return [
        (layer.keys[0].transpose(0, 1), layer.values[0].transpose(0, 1))
        for layer in known.layers
    ]


def mean_squares(
    names: Iterable[str] | None = None, protocol: EvaluationProtocol = KING_LEAR
) -> dict[str, Float[Tensor, " features"]]:
    """E[x_j²] of each named layer's inputs over the tokens of a text, in fp32."""
    return _means(_squares, _chosen(names), protocol)


def second_moments(
    names: Iterable[str] | None = None, protocol: EvaluationProtocol = KING_LEAR
) -> dict[str, Float[Tensor, "features features"]]:
    """E[x xᵀ] of each named layer's inputs over the tokens of a text, in fp32."""
    return _means(_products, _chosen(names), protocol)


def _squares(x: Float[Tensor, "tokens features"]) -> Float[Tensor, " features"]:
    return x.square().sum(0)


def _products(
    x: Float[Tensor, "tokens features"],
) -> Float[Tensor, "features features"]:
    return x.T @ x


@cache
def _means(
    fold: Callable[[Tensor], Tensor],
    names: tuple[str, ...],
    protocol: EvaluationProtocol,
) -> dict[str, Tensor]:
    """The mean over tokens of what `fold` sums; inputs are those of the fp32 model."""
    model, _ = smollm2()
    totals: dict[str, Tensor] = {}

    def receiver(name: str) -> Callable[[Tensor], None]:
        def add(x: Tensor) -> None:
            totals[name] = totals.get(name, 0.0) + fold(x)

        return add

    with redirect_stderr(StringIO()):
        stream_inputs(
            model, windows(protocol), {name: receiver(name) for name in names}
        )
    return {name: totals[name] / protocol.tokens for name in names}


def _chosen(names: Iterable[str] | None) -> tuple[str, ...]:
    """The names as a key; all linear layers where there are none."""
    return tuple(linear_layers(smollm2()[0]) if names is None else names)


@cache
def windows(protocol: EvaluationProtocol) -> Int[Tensor, "n window"]:
    """The windows of a text, in SmolLM2's tokens; only its beginning is read."""
    text = read_text(protocol.text)[: CHARACTERS * protocol.tokens]
    _, tokenizer = smollm2()
    return token_windows(
        text, tokenizer, window=protocol.window, tokens=protocol.tokens
    )
