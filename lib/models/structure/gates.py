"""Gates on the parts of a model: ξ before the matrix that reads them.

    heads      o_proj reads  ξ_h a_h      one number a layer and head
    neurons    down_proj reads  ξ_j a_j   one number a layer and neuron

At ξ = 1 nothing changes, at 0 the part is gone, and ∂L/∂ξ says what the loss would lose
first. The same gates serve a search for what to cut, and training with gates that learn
(lib/prune/structured/hard_concrete.py).

Read in order: `gated`, `head_gradients`; `watch_structure`, `watch_channels`.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from lib.models.hooks import Arrival, before
from lib.models.llama import head_dim
from lib.progress import progress
from lib.prune.structured.importance import BlockInfluence, Importance


@contextmanager
def gated(
    model: PreTrainedModel,
    *,
    heads: Float[Tensor, "layers heads"] | None = None,
    neurons: Float[Tensor, "layers neurons"] | None = None,
) -> Iterator[PreTrainedModel]:
    """For the length of a `with` block, multiply what `o_proj` and `down_proj` read.

    ValueError for gates of another shape.
    """
    config, blocks = model.config, model.model.layers
    shapes = {
        "heads": (heads, config.num_attention_heads),
        "neurons": (neurons, config.intermediate_size),
    }
    for what, (gates, parts) in shapes.items():
        if gates is not None and gates.shape != (len(blocks), parts):
            raise ValueError(
                f"gates of {what} are {tuple(gates.shape)}, "
                f"the model has {(len(blocks), parts)}"
            )
    with ExitStack() as stack:
        if heads is not None:
            wide = heads.repeat_interleave(head_dim(config), 1)
            layers = [block.self_attn.o_proj for block in blocks]
            stack.enter_context(_multiplied(layers, wide))
        if neurons is not None:
            layers = [block.mlp.down_proj for block in blocks]
            stack.enter_context(_multiplied(layers, neurons))
        yield model


@contextmanager
def _multiplied(layers: list[nn.Module], gates: Tensor) -> Iterator[None]:
    """Multiply the inputs of the i-th layer by the i-th row."""
    rows = {str(i): row for i, row in enumerate(gates)}

    def look(arrival: Arrival) -> Tensor:
        return arrival.x * rows[arrival.name].to(arrival.x)

    with before(dict(zip(rows, layers, strict=True)), look):
        yield


def head_gradients(
    model: PreTrainedModel, windows: Int[Tensor, "n window"]
) -> Float[Tensor, "n layers heads"]:
    """∂L/∂ξ at ξ = 1 of every window by itself; L is its mean loss a token, in nats."""
    config = model.config
    shape = (config.num_hidden_layers, config.num_attention_heads)
    found = []
    for window in progress(windows, "gradients", total=len(windows)):
        gates = torch.ones(shape, requires_grad=True)
        with torch.enable_grad(), gated(model, heads=gates):
            loss = model(window[None], labels=window[None], use_cache=False).loss
            found.append(torch.autograd.grad(loss, gates)[0])
    return torch.stack(found)


def watch_structure(
    model: PreTrainedModel, windows: Int[Tensor, "n window"], *, batch: int = 2
) -> tuple[list[Importance], list[BlockInfluence]]:
    """Each layer's neurons' importance, and its block influence, on these windows."""
    config, blocks = model.config, model.model.layers
    neurons = [Importance(config.intermediate_size) for _ in blocks]
    influence = [BlockInfluence() for _ in blocks]
    stream: list[Tensor] = []  # what the block before has read

    def enters(arrival: Arrival) -> None:
        if stream:
            influence[int(arrival.name) - 1].add(stream.pop(), arrival.x)
        if arrival.name != str(len(blocks)):
            stream.append(arrival.x)

    def reads(arrival: Arrival) -> None:
        neurons[int(arrival.name)].add(arrival.x)

    entries = {str(i): block for i, block in enumerate([*blocks, model.model.norm])}
    readers = {str(i): block.mlp.down_proj for i, block in enumerate(blocks)}
    with torch.inference_mode(), before(entries, enters), before(readers, reads):
        for ids in progress(windows.split(batch), "activations"):
            model.model(ids, use_cache=False)
    return neurons, influence


def watch_channels(
    model: PreTrainedModel, windows: Int[Tensor, "n window"], *, batch: int = 2
) -> Importance:
    """The importance of the stream's channels, by what both norms of each block make.

    The squares of all norms are summed, as a channel leaves every layer at once.
    """
    found = Importance(model.config.hidden_size)
    readers = {}
    for i, block in enumerate(model.model.layers):
        readers |= {f"{i} q": block.self_attn.q_proj, f"{i} gate": block.mlp.gate_proj}

    def reads(arrival: Arrival) -> None:
        found.add(arrival.x)

    with torch.inference_mode(), before(readers, reads):
        for ids in progress(windows.split(batch), "activations"):
            model.model(ids, use_cache=False)
    return found
