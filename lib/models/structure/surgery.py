"""Cut a Llama-shaped model smaller: fewer layers, neurons, heads or channels.

    neurons    rows of gate and up, columns of down
    heads      rows of q, columns of o, as many in every group that shares keys
    channels   of the stream: columns of q, k, v, gate, up and the head; rows of o and
               down; norms and embeddings
    layers     whole blocks; those that stay are numbered anew, for the cache's sake

What is left is an ordinary model of transformers: it saves, loads, generates and trains
as its own smaller configuration says, and every product is dense. Every layer keeps as
many parts as any other, though not the same ones, for a configuration has one number
for all. Cutting neurons or heads is exact: the model computes what it would with their
outputs at zero. Cutting channels is not, for a norm then averages over fewer.

Read in order: `drop_layers`, `keep_neurons`, `keep_heads`, `keep_channels`.
Source: Muralidharan et al. 2024, "Minitron", arXiv:2407.14679.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lib.models.llama import feeds, head_dim

Index = Tensor | Sequence[int]


def drop_layers(model: PreTrainedModel, layers: Iterable[int]) -> None:
    """Take these blocks out, in place.

    ValueError for a number that no block has, and where none would be left.
    """
    blocks, gone = _blocks(model), set(layers)
    if not gone <= set(range(len(blocks))) or len(gone) == len(blocks):
        raise ValueError(f"layers {sorted(gone)} of {len(blocks)}")
    kept = [block for i, block in enumerate(blocks) if i not in gone]
    for index, block in enumerate(kept):
        block.self_attn.layer_idx = index
    model.model.layers = nn.ModuleList(kept)
    config = model.config
    if getattr(config, "layer_types", None):
        kinds = enumerate(config.layer_types)
        config.layer_types = [kind for i, kind in kinds if i not in gone]
    config.num_hidden_layers = len(kept)


def keep_neurons(model: PreTrainedModel, kept: Sequence[Index]) -> None:
    """Leave these neurons of each layer's MLP, in place; one list a layer.

    ValueError for another number of layers, lists of different lengths, and neurons
    that are not there or named twice.
    """
    blocks = _blocks(model)
    chosen = _checked(kept, len(blocks), model.config.intermediate_size, "neurons")
    for block, index in zip(blocks, chosen, strict=True):
        mlp = block.mlp
        keep_rows(mlp.gate_proj, index)
        keep_rows(mlp.up_proj, index)
        keep_columns(mlp.down_proj, index)
        if hasattr(mlp, "intermediate_size"):
            mlp.intermediate_size = len(index)
    model.config.intermediate_size = len(chosen[0])


def keep_heads(model: PreTrainedModel, kept: Sequence[Index]) -> None:
    """Leave these query heads of each layer, in place; one list a layer.

    Keys and values stay. ValueError as `keep_neurons`, and where groups that share keys
    keep different numbers of heads.
    """
    blocks, config = _blocks(model), model.config
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    size, queries = head_dim(config), heads // groups
    chosen = _checked(kept, len(blocks), heads, "heads")
    for layer, index in enumerate(chosen):
        counts = (index // queries).bincount(minlength=groups).tolist()
        if len(set(counts)) > 1:
            raise ValueError(f"layer {layer}: its groups keep {counts} heads")
    for block, index in zip(blocks, chosen, strict=True):
        at, channels = block.self_attn, torch.arange(size)
        rows = (index[:, None] * size + channels).flatten()
        keep_rows(at.q_proj, rows)
        keep_columns(at.o_proj, rows)
        at.num_key_value_groups = len(index) // groups
        if hasattr(at, "num_heads"):
            at.num_heads = len(index)
    config.head_dim, config.num_attention_heads = size, len(chosen[0])


def keep_channels(model: PreTrainedModel, kept: Index) -> None:
    """Leave these channels of the stream, in place, in every layer and at both ends.

    ValueError for channels that are not there, or named twice.
    """
    blocks, config = _blocks(model), model.config
    (index,) = _checked([kept], 1, config.hidden_size, "channels")
    size = head_dim(config)
    for block in blocks:
        at, mlp = block.self_attn, block.mlp
        for reader in (at.q_proj, at.k_proj, at.v_proj, mlp.gate_proj, mlp.up_proj):
            keep_columns(reader, index)
        for writer in (at.o_proj, mlp.down_proj):
            keep_rows(writer, index)
        for norm in (block.input_layernorm, block.post_attention_layernorm):
            norm.weight = _cut(norm.weight, index, 0)
        if hasattr(mlp, "hidden_size"):
            mlp.hidden_size = len(index)
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = head.weight is embedding.weight
    model.model.norm.weight = _cut(model.model.norm.weight, index, 0)
    embedding.weight = _cut(embedding.weight, index, 1)
    embedding.embedding_dim = len(index)
    if tied:
        head.weight, head.in_features = embedding.weight, len(index)
    else:
        keep_columns(head, index)
    config.head_dim, config.hidden_size = size, len(index)


def keep_rows(layer: nn.Linear, index: Tensor) -> None:
    """Leave these outputs of a layer, in place."""
    layer.weight = _cut(layer.weight, index, 0)
    if layer.bias is not None:
        layer.bias = _cut(layer.bias, index, 0)
    layer.out_features = len(index)


def keep_columns(layer: nn.Linear, index: Tensor) -> None:
    """Leave these inputs of a layer, in place; its bias stays."""
    layer.weight = _cut(layer.weight, index, 1)
    layer.in_features = len(index)


def _cut(weight: nn.Parameter, index: Tensor, dim: int) -> nn.Parameter:
    part = weight.detach().index_select(dim, index.to(weight.device))
    return nn.Parameter(part, requires_grad=weight.requires_grad)


def _blocks(model: PreTrainedModel) -> nn.ModuleList:
    """The model's blocks; ValueError for a model or layer of another kind."""
    for feed in feeds(model):
        for name, layer in feed.readers.items():
            if type(layer) is not nn.Linear:
                raise ValueError(
                    f"{name} is a {type(layer).__name__}: cut first, then quantize"
                )
    return model.model.layers


def _checked(kept: Sequence[Index], layers: int, parts: int, what: str) -> list[Tensor]:
    """The lists as sorted tensors; ValueError where they do not fit together."""
    if len(kept) != layers:
        raise ValueError(f"{len(kept)} lists of {what} for {layers} layers")
    chosen = [torch.as_tensor(index, dtype=torch.int64).cpu() for index in kept]
    for layer, index in enumerate(chosen):
        inside = set(index.tolist()) <= set(range(parts))
        if not len(index) or not inside or len(index.unique()) < len(index):
            raise ValueError(
                f"layer {layer} keeps {what} {index.tolist()[:8]}: none twice, and at "
                f"least one, of 0 to {parts - 1}"
            )
        if len(index) != len(chosen[0]):
            raise ValueError(
                f"layer {layer} keeps {len(index)} {what}, layer 0 {len(chosen[0])}: "
                "a configuration has one number for all"
            )
    return [index.sort().values for index in chosen]
