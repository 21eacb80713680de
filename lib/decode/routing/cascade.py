"""A smaller model for simpler inputs: it answers, and says when it is not sure.

    by input   the small model's answer counts where its confidence reaches a threshold;
               else the large model answers
    by token   each token is the small model's where its largest probability reaches the
               threshold, else the large model's, which first reads what it has missed

Unlike speculative decoding this changes the text: the threshold trades quality for
cost. So it is calibrated on answers that are known to be right or wrong: the lowest
threshold above which the small model is right often enough, with a bound that holds for
new inputs with probability 1 − δ (Hoeffding's, over all thresholds that were tried).

Read in order: `confidence`, `trade`, `calibrated`; `TokenCascade`.
Source: Chen et al. 2023, "FrugalGPT", arXiv:2305.05176; by token: Kim et al. 2023, "Big
Little Decoder", arXiv:2302.07863.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lib.decode.cache import ContiguousCache, Shape
from lib.decode.llama import Llama, Span
from lib.decode.sampling import Sampling, distribution

GREEDY = Sampling()


def confidence(
    logits: Float[Tensor, "tokens vocabulary"], written: Sequence[int]
) -> float:
    """The geometric mean of an answer's probabilities: e to the mean log p.

    ValueError for an answer of no tokens.
    """
    if len(written) != len(logits) or not len(written):
        raise ValueError(f"{len(logits)} rows of logits for {len(written)} tokens")
    chosen = logits.double().log_softmax(-1)[range(len(written)), list(written)]
    return float(chosen.mean().exp())


@dataclass(frozen=True)
class Trade:
    """What each threshold costs and gives; the first asks only the small model."""

    thresholds: Float[Tensor, " n"]
    asked: Float[Tensor, " n"]  # the share of inputs that the large model answers
    quality: Float[Tensor, " n"]  # the mean over all inputs


def trade(
    sure: Float[Tensor, " inputs"],
    small: Float[Tensor, " inputs"],
    large: Float[Tensor, " inputs"],
) -> Trade:
    """Quality against cost, for every threshold that makes a difference.

    `small` and `large` are the quality of each model's answer to each input. ValueError
    for no inputs.
    """
    if not len(sure):
        raise ValueError("a trade over no inputs")
    ends = torch.tensor([math.inf], dtype=torch.float64)
    thresholds = torch.cat((sure.double().unique(), ends))
    asks = sure.double() < thresholds[:, None]  # (n, inputs)
    quality = torch.where(asks, large.double(), small.double()).mean(1)
    return Trade(thresholds, asks.double().mean(1), quality)


def calibrated(
    sure: Float[Tensor, " inputs"],
    right: Bool[Tensor, " inputs"],
    *,
    target: float,
    delta: float = 0.05,
    steps: int = 20,
) -> float:
    """The lowest threshold above which the small model is right a share `target` of
    times.

    With probability 1 − `delta` over the calibration inputs this holds for new ones:
    each of `steps` thresholds, quantiles of `sure`, is tried at a level of delta /
    steps, so

        mean of right − √(log(steps / δ) / 2n)  ≥  target        over the n above it

    Infinity where no threshold can promise it. ValueError for a share outside (0, 1).
    """
    if not (0 < target < 1 and 0 < delta < 1 and steps >= 1):
        raise ValueError(f"target={target}, delta={delta}, steps={steps}")
    shares = torch.arange(steps, dtype=torch.float64) / steps
    for threshold in sure.double().quantile(shares).tolist() if len(sure) else ():
        above = right[sure.double() >= threshold].double()
        slack = math.sqrt(math.log(steps / delta) / (2 * len(above)))
        if above.mean() - slack >= target:
            return threshold
    return math.inf


class TokenCascade:
    """Two models that write one text; `asked` counts the tokens that the large one
    chose.

    They share a vocabulary, else a ValueError. The large model reads several tokens of
    the small one's in one pass, when it is asked.
    """

    def __init__(
        self, small: tuple[Llama, Shape], large: tuple[Llama, Shape], threshold: float
    ) -> None:
        sizes = [llama.config.vocab_size for llama, _ in (small, large)]
        if sizes[0] != sizes[1]:
            raise ValueError(f"vocabularies of {sizes[0]} and {sizes[1]} tokens")
        self.small, self.large = small, large
        self.threshold = threshold
        self.asked = 0

    def write(self, prompt: Sequence[int], new_tokens: int) -> list[int]:
        """The next `new_tokens` tokens, each the likeliest of the model that chose."""
        text = list(prompt)
        small, large = (ContiguousCache(shape) for _, shape in (self.small, self.large))
        for _ in range(new_tokens):
            logits = self.next(self.small[0], small, text)
            if logits.double().softmax(-1).max() < self.threshold:
                logits = self.next(self.large[0], large, text)
                self.asked += 1
            text.append(int(distribution(logits, GREEDY).argmax()))
        return text[len(prompt) :]

    def next(
        self, llama: Llama, cache: ContiguousCache, text: list[int]
    ) -> Float[Tensor, "1 vocabulary"]:
        """A model's logits after a text, of which it reads what it has not read."""
        return llama([Span(0, tuple(text[cache.length(0) :]))], cache)
