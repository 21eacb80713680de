"""The step from one token to the next, with a static cache; one CUDA graph if it fits.

Read in order: `Decoder`, `tokens_per_second`.
"""

import statistics
import time

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import LlamaForCausalLM, StaticCache

RUNS = 3


class Decoder:
    """A model, its static cache, and the step from one token to the next."""

    def __init__(self, model: LlamaForCausalLM, capacity: int) -> None:
        self.model, device = model, model.device
        self.cache = StaticCache(config=model.config, max_cache_len=capacity)
        self.token = torch.zeros(1, 1, dtype=torch.long, device=device)
        self.graph: torch.cuda.CUDAGraph | None = None

    @torch.inference_mode()
    def prefill(self, ids: Int[Tensor, "1 prompt"]) -> None:
        """Fill the cache with a prompt and choose the first new token."""
        self.cache.reset()
        self._choose(self.model(ids, past_key_values=self.cache).logits)

    def _choose(self, logits: Float[Tensor, "1 tokens vocabulary"]) -> None:
        self.token.copy_(logits[:, -1:].argmax(-1))

    @torch.inference_mode()
    def step(self) -> None:
        """Feed the last token; the next one takes its place."""
        if self.graph:
            self.graph.replay()
        else:
            self._choose(self.model(self.token, past_key_values=self.cache).logits)

    @torch.inference_mode()
    def capture(self, ids: Int[Tensor, "1 prompt"]) -> None:
        """Record a step as a CUDA graph; whatever forbids that is raised."""
        self.prefill(ids)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                self.step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step()
        self.graph = graph

    def decode(self, ids: Int[Tensor, "1 prompt"], count: int) -> list[Tensor]:
        """The next `count` tokens, greedily."""
        self.prefill(ids)
        tokens = [self.token.clone()]
        for _ in range(count - 1):
            self.step()
            tokens.append(self.token.clone())
        return tokens


def tokens_per_second(
    decoder: Decoder, ids: Int[Tensor, "1 prompt"], count: int
) -> float:
    """Of `count` steps after the prompt, the median of `RUNS`."""
    return count / statistics.median(_seconds(decoder, ids, count) for _ in range(RUNS))


def _seconds(decoder: Decoder, ids: Tensor, count: int) -> float:
    """Wall time of `count` steps after the prompt."""
    decoder.prefill(ids)
    _synchronize()
    began = time.perf_counter()
    for _ in range(count):
        decoder.step()
    _synchronize()
    return time.perf_counter() - began


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
