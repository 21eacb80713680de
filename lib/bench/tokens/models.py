"""Models of a real shape with random weights, and the bytes that they hold.

Speed does not read the weights, so nobody has to fetch them.

Read in order: `SHAPES`, `random_model`, `replace_layers`, `bytes_of`.
"""

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from lib.bench.record import SEED
from lib.models.walk import linear_layers, replace_layer

SHAPES = {  # hidden, intermediate, layers, heads, key-value heads, vocabulary
    "smollm2": (576, 1536, 30, 9, 3, 49152),
    "llama-7b": (4096, 11008, 32, 32, 32, 32000),
    "tiny": (256, 512, 2, 4, 2, 1000),
}
TIED = ("smollm2",)  # the head is the embeddings
Maker = Callable[[nn.Linear], nn.Module]


def random_model(
    shape: str, *, dtype: torch.dtype, device: str, capacity: int
) -> LlamaForCausalLM:
    """A Llama of that shape with normal weights, never on any other device."""
    hidden, intermediate, layers, heads, groups, vocabulary = SHAPES[shape]
    config = LlamaConfig(
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        vocab_size=vocabulary,
        max_position_embeddings=max(capacity, 512),
        tie_word_embeddings=shape in TIED,
        dtype=dtype,
    )
    torch.manual_seed(SEED)
    with torch.device(device):
        model = LlamaForCausalLM(config).to(dtype)
    return model.eval().requires_grad_(False)


def replace_layers(model: LlamaForCausalLM, make: Maker) -> None:
    """Replace every linear layer, one of each shape made and the others copies of it.

    The weights are random anyway, and each copy has memory of its own to be read.
    """
    made: dict[torch.Size, nn.Module] = {}
    for name, layer in linear_layers(model).items():
        shape = layer.weight.shape
        new = copy.deepcopy(made[shape]) if shape in made else make(layer)
        made.setdefault(shape, new)
        replace_layer(model, name, new)


def bytes_of(module: nn.Module) -> int:
    """Bytes of parameters and buffers, and what hangs on them, each once."""
    own = (*module.parameters(), *module.buffers())
    tensors = {t.data_ptr(): t for one in own for t in (one, *_constants(one))}
    return sum(tensor.nbytes for tensor in tensors.values())


def _constants(parameter: Tensor) -> Iterator[Tensor]:
    """What bitsandbytes keeps beside codes: constants, their constants, levels."""
    state, scales = (getattr(parameter, name, None) for name in ("quant_state", "SCB"))
    parts = [scales]
    while state is not None:
        parts += [state.absmax, state.code, state.offset]
        state = state.state2
    yield from (part for part in parts if isinstance(part, Tensor))
