"""What a Llama-shaped model is, in one table: which module feeds which linear layers.

    h + o( attention( q(n), k(n), v(n) ) ),   n = input_layernorm(h)
    h + down( silu(gate(n)) · up(n) ),        n = post_attention_layernorm(h)

Channel j of a source is column j of its readers: so a factor can move from one to the
other. For v and o this holds head by head: with fewer key-value heads than query heads,
one channel of v is read by as many columns of o as there are queries to a value.

Read in order: `FEEDS`, `Feed`, `feeds`, `norm_feeds`, `head_dim`.
Source: Touvron et al. 2023, arXiv:2302.13971; grouped queries: Ainslie et al. 2023,
arXiv:2305.13245.
"""

from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedConfig

QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
GATE_UP = ("mlp.gate_proj", "mlp.up_proj")
FEEDS = (  # in the order in which a block runs
    ("input_layernorm", QKV),
    ("self_attn.v_proj", ("self_attn.o_proj",)),
    ("post_attention_layernorm", GATE_UP),
    ("mlp.up_proj", ("mlp.down_proj",)),
)
NORMS = ("input_layernorm", "post_attention_layernorm")


@dataclass(frozen=True, eq=False)
class Feed:
    """A norm or a linear layer, and the linear layers that read its output, by name."""

    name: str
    source: nn.Module
    readers: dict[str, nn.Linear]

    @property
    def from_norm(self) -> bool:
        """Whether the source is a norm: its gain is a factor a channel."""
        return self.name.endswith(NORMS)


def feeds(model: nn.Module) -> list[Feed]:
    """Every feed of every block, in the order of the model.

    ValueError for a model without Llama's blocks, and for a block that lacks a part.
    """
    modules = dict(model.named_modules())
    first = f".{NORMS[0]}"
    blocks = [name.removesuffix(first) for name in modules if name.endswith(first)]
    if not blocks:
        raise ValueError(
            f"{type(model).__name__} is not Llama-shaped: no block has a {NORMS[0]}"
        )
    found = []
    for block in blocks:
        for source, readers in FEEDS:
            names = [f"{block}.{part}" for part in (source, *readers)]
            if absent := [name for name in names if name not in modules]:
                raise ValueError(f"the model is not Llama-shaped: no {absent[0]}")
            linears = {name: modules[name] for name in names[1:]}
            found.append(Feed(names[0], modules[names[0]], linears))
    return found


def norm_feeds(model: nn.Module) -> list[Feed]:
    """The feeds whose source is a norm; ValueError as `feeds`."""
    return [feed for feed in feeds(model) if feed.from_norm]


def head_dim(config: PreTrainedConfig) -> int:
    """Channels of a head, by a transformers configuration."""
    heads = config.num_attention_heads
    return getattr(config, "head_dim", None) or config.hidden_size // heads
