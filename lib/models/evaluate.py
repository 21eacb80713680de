"""Perplexity by one fixed, printed protocol; and text from a model.

    perplexity = exp( -1/N  Σ log p(x_t | x_<t, same window) )

The text is cut into windows that do not overlap; each window of T tokens gives T - 1
predictions (its first token has nothing before it), and N counts exactly those. Weights
may be of any precision: the logits are raised to fp32 before the softmax.

Read in order: `EvaluationProtocol`, `window_losses`, `perplexity`, `generate`.
Source: Jelinek et al. 1977; windows without overlap as in Frantar et al. 2022, GPTQ.
"""

import hashlib
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from lib.data.text import read_text, token_windows
from lib.progress import progress


@dataclass(frozen=True)
class EvaluationProtocol:
    """Which text, how much of it, and in what windows: print it beside every result.

    `text` is the name of a play, "python_docs", or the path of a text file.
    """

    text: str = "hamlet"
    tokens: int = 4096
    window: int = 512

    def __post_init__(self) -> None:
        """Refuse what could not be cut into whole windows."""
        if self.window < 2 or self.tokens < self.window or self.tokens % self.window:
            raise ValueError(
                f"tokens={self.tokens} is not a positive multiple of "
                f"window={self.window} (which needs 2 tokens or more)"
            )

    def windows(self, tokenizer: PreTrainedTokenizerBase) -> Int[Tensor, "n window"]:
        """Cut the first `tokens` tokens of the text into windows."""
        return token_windows(
            read_text(self.text), tokenizer, window=self.window, tokens=self.tokens
        )

    def __str__(self) -> str:
        """Say it in one line, with a fingerprint of the text."""
        digest = hashlib.sha256(read_text(self.text).encode()).hexdigest()[:8]
        count = self.tokens // self.window
        return (
            f"{self.text} (SHA-256 {digest}…), first {self.tokens:,} tokens: "
            f"{count} window{'s'[: count > 1]} of {self.window}, "
            f"{self.window - 1} predictions each"
        )


@torch.inference_mode()
def window_losses(
    model: nn.Module, windows: Int[Tensor, "n window"], *, batch: int = 2
) -> Float[Tensor, " n"]:
    """Mean negative log-likelihood of each window, in nats a prediction, as float64.

    Their spread is the error bar of `perplexity`: windows are nearly independent.
    Raises ValueError for windows that are empty or hold a token the model lacks.
    """
    _check_windows(model, windows, batch)
    losses = []
    for ids in progress(windows.split(batch), "perplexity"):
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        # One row a prediction: over a strided vocabulary torch sums less exactly.
        nats = nn.functional.cross_entropy(
            logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
        )
        losses.append(nats.double().view(len(ids), -1).mean(dim=1))
    return torch.cat(losses)


def perplexity(
    model: nn.Module, windows: Int[Tensor, "n window"], *, batch: int = 2
) -> float:
    """exp of the mean negative log-likelihood over all predictions of all windows.

    Infinite or NaN logits give inf or nan, which is an answer: the model is broken.
    """
    mean = window_losses(model, windows, batch=batch).mean().item()
    return math.exp(mean) if mean < 700 else math.nan if math.isnan(mean) else math.inf


def _check_windows(model: nn.Module, windows: Tensor, batch: int) -> None:
    """Raise ValueError for windows that the model cannot be asked about."""
    if batch < 1:
        raise ValueError(f"batch={batch} must be 1 or more")
    if windows.shape[0] < 1 or windows.shape[1] < 2:
        raise ValueError(
            f"windows of shape {tuple(windows.shape)} hold no prediction: "
            "at least one window of 2 tokens is needed"
        )
    vocabulary = model.get_input_embeddings().weight.shape[0]
    low, high = windows.min().item(), windows.max().item()
    if low < 0 or high >= vocabulary:
        raise ValueError(
            f"tokens {low}..{high} do not fit the model's vocabulary of {vocabulary:,}"
        )


def next_token(
    logits: Float[Tensor, " vocabulary"],
    *,
    temperature: float = 0.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> int:
    """Choose a token: the likeliest at temperature 0, else a draw from the nucleus.

    The nucleus is the smallest set of likeliest tokens whose probabilities, softmax of
    logits / temperature, reach `top_p`. Raises ValueError for a negative temperature, a
    `top_p` outside (0, 1], and a draw without a generator.
    Source: Holtzman et al. 2020, arXiv:1904.09751.
    """
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature={temperature} must be finite and 0 or more")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p} must lie in (0, 1]")
    if temperature == 0:
        return int(logits.argmax())
    if generator is None:
        raise ValueError(f"temperature={temperature} draws at random: pass a generator")
    p, order = (logits.float() / temperature).softmax(-1).sort(descending=True)
    p[p.cumsum(-1) - p >= top_p] = 0  # what stands before a token reaches top_p already
    return int(order[torch.multinomial(p, 1, generator=generator)])


@torch.inference_mode()
def generate(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    *,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> str:
    """Continue `prompt` with the model's own key-value cache; return only what is new.

    Stops at the tokenizer's end-of-text token. Greedy at temperature 0; otherwise
    `next_token` draws with `generator`. Raises ValueError for an empty prompt, and
    where prompt and continuation exceed the model's context.
    """
    ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids
    ids = ids.to(model.get_input_embeddings().weight.device)
    context = getattr(model.config, "max_position_embeddings", None)
    if ids.shape[1] == 0 or max_new_tokens < 1:
        raise ValueError(
            f"a prompt of {ids.shape[1]} tokens and max_new_tokens={max_new_tokens}: "
            "both need at least 1"
        )
    if context and ids.shape[1] + max_new_tokens > context:
        raise ValueError(
            f"{ids.shape[1]} + {max_new_tokens} tokens exceed the context of {context}"
        )
    cache, new = None, []
    for _ in progress(range(max_new_tokens), "generating"):
        out = model(input_ids=ids, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        token = next_token(
            out.logits[0, -1], temperature=temperature, top_p=top_p, generator=generator
        )
        if token == tokenizer.eos_token_id:
            break
        new.append(token)
        ids = torch.tensor([[token]], device=ids.device)
    return tokenizer.decode(new)
