"""What fine-tuning has to hold in memory, term by term; and what autograd really holds.

    all of W in 16 bits     2 weights + 2 gradients + 8 Adam's m, v = 12 bytes a weight
    QLoRA                   (4 + 8/64 + 32/(64·256)) / 8 = 0.516 bytes a weight, and 12
                            bytes for each number of the adapters

For the 65B LLaMA of 2023: 783 GB, and 44.05 GB for r = 64 on every linear layer. GB are
powers of ten. What one block holds between its own forward and backward pass comes on
top, and grows with the tokens.

Read in order: `LlamaShape`, `full_fine_tuning`, `qlora_fine_tuning`, `activations`;
`SavedBytes` measures. Taught in notebooks/10.
Source: Dettmers et al. 2023, arXiv:2305.14314, section 1 and appendix G.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lib.cost import memory_bytes

CONSTANT_BITS = {False: 32 / 64, True: 8 / 64 + 32 / (64 * 256)}  # by double


@dataclass(frozen=True)
class LlamaShape:
    """A Llama-shaped model; `kv` is the width of its keys, `tied` its head's."""

    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    kv: int | None = None  # as `hidden`, where heads share no keys
    tied: bool = False

    def __post_init__(self) -> None:
        """Refuse what is not positive."""
        if min(v for v in vars(self).values() if v is not None and v is not False) < 1:
            raise ValueError(f"{self} has a size below 1")

    @property
    def products(self) -> tuple[tuple[int, int], ...]:
        """(outputs, inputs) of a block's q, k, v, o, gate, up and down."""
        h, i, kv = self.hidden, self.intermediate, self.kv or self.hidden
        return (h, h), (kv, h), (kv, h), (h, h), (i, h), (i, h), (h, i)

    @property
    def linear(self) -> int:
        """Weights of all blocks' products: what is quantized."""
        return self.layers * sum(n * m for n, m in self.products)

    @property
    def others(self) -> int:
        """Embeddings, head and norms: what stays in 16 bits."""
        ends = 1 if self.tied else 2
        return (
            ends * self.vocabulary * self.hidden + (2 * self.layers + 1) * self.hidden
        )

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.linear + self.others

    def adapters(self, rank: int) -> int:
        """Numbers in A and B of every product: r (n + m) each."""
        return self.layers * sum(rank * (n + m) for n, m in self.products)


# Touvron et al. 2023, arXiv:2302.13971, table 2.
LLAMA_65B = LlamaShape(80, 8192, 22016, 32000)


def full_fine_tuning(shape: LlamaShape) -> dict[str, float]:
    """Bytes of each term where all weights learn, in 16 bits, by Adam."""
    n = shape.parameters
    return {
        "weights, 16 bits": memory_bytes(n, 16),
        "gradients, 16 bits": memory_bytes(n, 16),
        "Adam's m and v, 32 bits each": memory_bytes(n, 64),
    }


def qlora_fine_tuning(
    shape: LlamaShape, *, rank: int = 64, double: bool = True
) -> dict[str, float]:
    """Bytes of each term of QLoRA, with adapters on every product."""
    learned = shape.adapters(rank)
    return {
        "codes, 4 bits": memory_bytes(shape.linear, 4),
        "constants" + ", quantized" * double: memory_bytes(
            shape.linear, CONSTANT_BITS[double]
        ),
        "embeddings, head and norms, 16 bits": memory_bytes(shape.others, 16),
        "adapters, 16 bits": memory_bytes(learned, 16),
        "their gradients, 16 bits": memory_bytes(learned, 16),
        "Adam's m and v, 32 bits each": memory_bytes(learned, 64),
    }


def activations(shape: LlamaShape, tokens: int) -> dict[str, float]:
    """Bytes of what a step of so many tokens must hold, with checkpointing.

    Not counted: what a block holds while it is run again.
    """
    return {
        "inputs of the blocks, 16 bits": memory_bytes(
            shape.layers * tokens * shape.hidden, 16
        ),
        "logits and their gradient, 32 bits": memory_bytes(
            2 * tokens * shape.vocabulary, 32
        ),
        "the largest Ŵ, 16 bits": memory_bytes(
            max(n * m for n, m in shape.products), 16
        ),
    }


class SavedBytes:
    """Bytes that autograd keeps from forward to backward within a `with` block.

    Each storage counts once, and those of `model`'s parameters and buffers not at all:
    they are there anyhow. What a block under checkpointing saves while it runs, and
    throws away, is not seen; what it keeps is.
    """

    def __init__(self, model: nn.Module | None = None) -> None:
        owned = [*model.parameters(), *model.buffers()] if model is not None else []
        self._owned = {tensor.untyped_storage().data_ptr() for tensor in owned}
        self._seen: dict[int, int] = {}

    @property
    def bytes(self) -> int:
        """So far."""
        return sum(self._seen.values())

    def __enter__(self) -> "SavedBytes":
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, _as_it_is)
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._hooks.__exit__(*error)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._owned:
            self._seen[storage.data_ptr()] = storage.nbytes()
        return tensor


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor
