"""The pass of one token a text on the GPU, as one CUDA graph; greedy.

    embed                                          h, g ⊙ h, the squares of h
    a layer:  normed    q, k, v = W norm(h)
              attended  rotation, the write into the blocks, attention over them
              added     h ← h + O a
              gated     a = silu(G norm(h)) ⊙ U norm(h)
              added     h ← h + D a
    best, choose                                   the next token of every text

That is five kernels a layer and three more. Every weight is read for one token a text:
the time is that of the bytes, as long as nothing stands between two products. So the
kernels are chained, each asks for its weights while the one before still runs, and
norms, gates and additions are ends of the products (lib/kernels/ends).

A graph is a recording: kernels, their arguments, their order. So whatever changes from
token to token lies at a fixed place on the GPU: texts, their lengths, their tables of
blocks. The blocks for all tokens that are asked for are reserved first; then the graph
is replayed once a token, and nobody asks the host for anything.

Where there is no GPU the same lines run the operations' references.

Read in order: `Writer`: `write`, `step`; `Layer`, `matrix_of`, `joined_layers`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lib.decode.kivi import SealedBlocks
from lib.decode.llama import Llama
from lib.decode.paged import BLOCK, PagedCache
from lib.kernels.attend import Blocks, attended
from lib.kernels.core.compiler import chained
from lib.kernels.ends import (
    Dense,
    Matrix,
    added_product,
    best_product,
    chosen,
    embedded,
    gated_product,
    joined,
    normed_product,
)
from lib.layers.kernel_matrix import KernelMatrix
from lib.layers.packed import PackedLinear
from lib.models.rotate.online import Inputs, inputs_of


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: four products, the gains of the norms after them, its blocks."""

    qkv: Matrix
    out: Matrix
    gate_up: Matrix
    down: Matrix
    middle: Tensor  # the gain between attention and the gated product
    after: Tensor  # the gain of the next layer's norm, or of the last
    blocks: Blocks


class Writer:
    """Writes for `batch` texts at once, each of at most `capacity` tokens.

    The model may hold packed layers; where q, k and v, or gate and up, are plain, they
    become views of one matrix. Packed ones are joined into a copy. ValueError for a
    model that `Llama` refuses, a bias, an act-order, norms of different ε, a layer of
    another kind, and a cache in few bits.
    """

    def __init__(
        self, model: PreTrainedModel, cache: PagedCache, batch: int, capacity: int
    ) -> None:
        if isinstance(cache.blocks, SealedBlocks):
            raise ValueError("the cache's blocks hold codes, and no kernel reads them")
        llama, device = Llama(model), cache.shape.device
        self.cache, self.batch = cache, batch
        self.texts = torch.zeros(batch, capacity, dtype=torch.int32, device=device)
        self.lengths = self.texts.new_zeros(batch)
        self.tables = self.texts.new_zeros(batch, -(-capacity // BLOCK))
        turns = [turn[:, 0] for turn in llama.turns(torch.arange(capacity))]
        self.table, self.head = llama.embedding.weight, matrix_of(llama.head)
        norms = [n for b in llama.blocks for n in _norms(b)] + [llama.last_norm]
        if len({norm.variance_epsilon for norm in norms}) > 1:
            raise ValueError("the norms of this model add different ε")
        self.eps, gains = norms[0].variance_epsilon, [norm.weight for norm in norms]
        self.first, self.layers = gains[0], []
        for index, block in enumerate(llama.blocks):
            at, mlp = block.self_attn, block.mlp
            keys, values = cache.blocks.keys[index], cache.blocks.values[index]
            blocks = Blocks(keys, values, self.tables, self.lengths, *turns)
            layer = Layer(
                qkv=joined_layers([at.q_proj, at.k_proj, at.v_proj]),
                out=matrix_of(at.o_proj),
                gate_up=joined_layers([mlp.gate_proj, mlp.up_proj]),
                down=matrix_of(mlp.down_proj),
                middle=gains[2 * index + 1],
                after=gains[2 * index + 2],
                blocks=blocks,
            )
            self.layers.append(layer)
        self.graph: torch.cuda.CUDAGraph | None = None

    @torch.inference_mode()
    def write(self, texts: Mapping[int, Sequence[int]], count: int) -> list[list[int]]:
        """The next `count` tokens of each text, greedily.

        `texts` are the tokens of the cache's sequences, all but the last of which it
        holds; and so it is again afterwards. ValueError for another number of texts,
        for one that the cache does not hold so, and one that grows beyond `capacity`;
        `Full` where the cache has no room: then nothing has changed.
        """
        self._check(texts, count)
        self.cache.extend(dict.fromkeys(texts, count))
        lengths = [len(tokens) - 1 for tokens in texts.values()]
        for row, (sequence, tokens) in enumerate(texts.items()):
            blocks = self.cache.tables[sequence].index
            self.tables[row, : len(blocks)] = blocks
            self.texts[row, lengths[row]] = tokens[-1]
        self.lengths.copy_(torch.tensor(lengths))
        for _ in range(count):
            self.next()
        wrote = self.texts.tolist()
        return [
            row[length + 1 : length + 1 + count]
            for row, length in zip(wrote, lengths, strict=True)
        ]

    def _check(self, texts: Mapping[int, Sequence[int]], count: int) -> None:
        capacity = self.texts.shape[1]
        if len(texts) != self.batch or count < 1:
            raise ValueError(f"{len(texts)} texts, count={count}; batch={self.batch}")
        for sequence, tokens in texts.items():
            known = self.cache.length(sequence)
            if known != len(tokens) - 1 or len(tokens) + count > capacity:
                raise ValueError(
                    f"text {sequence} has {len(tokens)} tokens, of which the cache "
                    f"holds {known}; {count} more, capacity={capacity}"
                )

    def next(self) -> None:
        """One token more for every text: on a GPU the graph, recorded after a step."""
        if self.graph:
            self.graph.replay()
            return
        self.step()  # compiles what a recording cannot
        if self.texts.is_cuda:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.step()
            self.graph = graph

    @chained()
    def step(self) -> None:
        """The pass, from the last token of every text to the next."""
        stream = embedded(self.texts, self.lengths, self.table, self.first)
        for layer in self.layers:
            qkv = normed_product(stream, layer.qkv, self.eps)
            mixed = attended(qkv, layer.blocks)
            stream = added_product(mixed, layer.out, stream, layer.middle)
            a = gated_product(stream, layer.gate_up, self.eps)
            stream = added_product(a, layer.down, stream, layer.after)
        best = best_product(stream, self.head, self.eps)
        chosen(best, self.texts, self.lengths, len(self.table))


def _norms(block: nn.Module) -> tuple[nn.Module, nn.Module]:
    return block.input_layernorm, block.post_attention_layernorm


def matrix_of(layer: nn.Module) -> Matrix:
    """A layer's matrix as kernels want it.

    ValueError for a bias, an act-order, inputs that are transformed or rounded online,
    and a layer of a kind without kernels.
    """
    if (inputs := inputs_of(layer)) != Inputs():
        raise ValueError(f"no kernel does to a layer's inputs what {inputs} says")
    if getattr(layer, "bias", None) is not None:
        raise ValueError("a layer has a bias, and these products add none")
    if isinstance(layer, PackedLinear):
        held = layer.held
        if not isinstance(held, KernelMatrix):
            held = KernelMatrix.from_quantized(held.quantized())
        if held.order is not None:
            raise ValueError("an act-order: its columns are not those of x")
        return held.weight
    if not isinstance(layer, nn.Linear):
        raise ValueError(f"no kernel multiplies by a {type(layer).__name__}")
    return Dense(layer.weight)


def joined_layers(layers: Sequence[nn.Module]) -> Matrix:
    """One matrix of several layers' rows; plain layers become views of it."""
    whole = joined([matrix_of(layer) for layer in layers])
    if isinstance(whole, Dense):
        rows = [layer.weight.shape[0] for layer in layers]
        for layer, part in zip(layers, whole.weight.split(rows), strict=True):
            layer.weight.data = part
    return whole
