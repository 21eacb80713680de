"""Gates on the parts of a model: ξ before the matrix that reads them.

    heads      o_proj reads  ξ_h a_h      one number a layer and head
    neurons    down_proj reads  ξ_j a_j   one number a layer and neuron
    channels   every norm reads ξ_k h_k   one number for the whole stream, and its mean
               of squares is over Σ ξ channels, as that of a model without the others

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
    channels: Float[Tensor, " channels"] | None = None,
) -> Iterator[PreTrainedModel]:
    """For the length of a `with` block, multiply what these parts hand on.

    Gates of 0 and 1 compute what the cut model does (surgery.py). ValueError for gates
    of another shape, and where no channel is open.
    """
    config, blocks = model.config, model.model.layers
    if channels is not None and channels.shape != (config.hidden_size,):
        raise ValueError(
            f"{tuple(channels.shape)} gates of {config.hidden_size} channels"
        )
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
        if channels is not None:
            stack.enter_context(_narrowed(model, channels))
        yield model


@contextmanager
def _multiplied(layers: list[nn.Module], gates: Tensor) -> Iterator[None]:
    """Multiply the inputs of the i-th layer by the i-th row."""
    rows = {str(i): row for i, row in enumerate(gates)}

    def look(arrival: Arrival) -> Tensor:
        return arrival.x * rows[arrival.name].to(arrival.x)

    with before(dict(zip(rows, layers, strict=True)), look):
        yield


@contextmanager
def _narrowed(model: PreTrainedModel, gates: Tensor) -> Iterator[None]:
    """Norms over Σ ξ channels in place of d: with c² = d / Σ ξ,

    a norm reads c ξ h, whose mean over d is that of ξ h over Σ ξ, and makes c times as
    much; so what reads the norm divides by c.
    """
    if not gates.sum() > 0:
        raise ValueError(f"no channel of {len(gates)} is open")
    spread = (len(gates) / gates.sum()).sqrt()
    norms, readers = {"last": model.model.norm}, {"head": model.lm_head}
    for i, block in enumerate(model.model.layers):
        at, mlp = block.self_attn, block.mlp
        norms |= {
            f"{i} a": block.input_layernorm,
            f"{i} f": block.post_attention_layernorm,
        }
        readers |= {f"{i} q": at.q_proj, f"{i} k": at.k_proj, f"{i} v": at.v_proj}
        readers |= {f"{i} gate": mlp.gate_proj, f"{i} up": mlp.up_proj}

    def enters(arrival: Arrival) -> Tensor:
        return arrival.x * (spread * gates).to(arrival.x)

    def leaves(arrival: Arrival) -> Tensor:
        return arrival.x / spread.to(arrival.x)

    with before(norms, enters), before(readers, leaves):
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
