"""LoRA: freeze W and learn a correction of rank r beside it.

    y = W x + s B A x        A (r, inputs), B (outputs, r),   s = α / r   (or α / √r)
    h = A x                  at first B = 0, so that training begins at y = W x

    with g = ∂L/∂y:   ∂L/∂B = s g hᵀ,   ∂L/∂A = s Bᵀ g xᵀ,   ∂L/∂x = Wᵀ g + s Aᵀ Bᵀ g

A layer of n x m weights learns r (n + m) numbers, and no gradient of W is ever made.
The deck writes tokens as rows and the matrices L₁ = Aᵀ, L₂ = Bᵀ: Y = X W + s X L₁ L₂.

Guarantees: an adapted model gives bit for bit what it gave before, until B moves; a
step of B = 0 leaves A where it is, for ∂L/∂A has the factor B.
Read in order: `LoRA`, `low_rank`, `low_rank_gradients`, `add_low_rank_`, `LoRALinear`,
`initial`. Taught in notebooks/10.
Sources: Hu et al. 2021, arXiv:2106.09685, section 4.1; α / √r: Kalajdzievski 2023,
arXiv:2312.03732; the names lora_A and lora_B, and their draw, are peft's.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

# The seven products of a Llama-shaped block: QLoRA adapts them all.
LLAMA = (
    *("q_proj", "k_proj", "v_proj", "o_proj"),
    *("gate_proj", "up_proj", "down_proj"),
)


@dataclass(frozen=True)
class LoRA:
    """Rank r, α, dropout on the adapter's path, and the layers, by the end of a name.

    `targets` are last parts of names ("q_proj") or longer ends ("0.mlp.up_proj").
    `rank_stabilized` scales by α / √r, under which the size of an update does not
    shrink as r grows. ValueError for a rank below 1, an α that is not finite and
    positive, a dropout outside [0, 1), and no targets.
    """

    rank: int = 8
    alpha: int | float = 16
    dropout: int | float = 0.0
    targets: tuple[str, ...] = LLAMA
    rank_stabilized: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no adapter."""
        if self.rank < 1:
            raise ValueError(f"rank={self.rank} must be 1 or more")
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            raise ValueError(f"alpha={self.alpha} must be finite and more than 0")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} is not in [0, 1)")
        if not self.targets or isinstance(self.targets, str):
            raise ValueError(f"targets={self.targets!r} is no tuple of layers' names")

    @property
    def scale(self) -> float:
        """s: what the product B A counts."""
        return self.alpha / (
            math.sqrt(self.rank) if self.rank_stabilized else self.rank
        )

    def adapts(self, name: str) -> bool:
        """Whether a layer of this name gets an adapter."""
        return any(name == end or name.endswith(f".{end}") for end in self.targets)


def low_rank(
    x: Float[Tensor, "*batch inputs"],
    A: Float[Tensor, "rank inputs"],
    B: Float[Tensor, "outputs rank"],
    scale: float,
) -> Float[Tensor, "*batch outputs"]:
    """s B A x, by two thin products: r (n + m) multiplications a token, not n m."""
    return (x @ A.T @ B.T) * scale


def low_rank_gradients(
    x: Float[Tensor, "*batch inputs"],
    A: Float[Tensor, "rank inputs"],
    B: Float[Tensor, "outputs rank"],
    scale: float,
    g: Float[Tensor, "*batch outputs"],
    *,
    onto: Float[Tensor, "*batch inputs"] | None = None,
) -> tuple[
    Float[Tensor, "*batch inputs"],
    Float[Tensor, "rank inputs"],
    Float[Tensor, "outputs rank"],
]:
    """(∂L/∂x, ∂L/∂A, ∂L/∂B) of `low_rank` for g = ∂L/∂y, summed over all tokens.

    ∂L/∂x is added to `onto`, in place, where there is one: what came by another path.
    """
    tokens, rows = x.flatten(0, -2), g.flatten(0, -2)
    back = (rows @ B) * scale  # ∂L/∂h, (tokens, rank)
    by_A = back.T @ tokens
    by_B = scale * (rows.T @ (tokens @ A.T))
    if onto is None:
        return (back @ A).view(x.shape), by_A, by_B
    onto.view(-1, onto.shape[-1]).addmm_(back, A)
    return onto, by_A, by_B


def add_low_rank_(
    y: Float[Tensor, "*batch outputs"],
    x: Float[Tensor, "*batch inputs"],
    A: Float[Tensor, "rank inputs"],
    B: Float[Tensor, "outputs rank"],
    scale: float,
) -> Float[Tensor, "*batch outputs"]:
    """y + s B A x in the place of y; A and B multiply in y's dtype, rounded once."""
    h = x.flatten(0, -2).to(y) @ A.to(y).T  # (tokens, rank)
    y.view(-1, y.shape[-1]).addmm_(h, B.to(y).T, alpha=scale)
    return y


def initial(
    inputs: int, outputs: int, rank: int, generator: torch.Generator
) -> tuple[Float[Tensor, "rank inputs"], Float[Tensor, "outputs rank"]]:
    """A uniform in ±1/√inputs, drawn on the CPU, and B = 0; in float32."""
    A = torch.empty(rank, inputs).uniform_(-1, 1, generator=generator)
    return A / math.sqrt(inputs), torch.zeros(outputs, rank)


class LoRALinear(nn.Module):
    """A frozen layer, `base`, and s B A beside it.

    A and B are kept in float32 and multiply in the dtype of base(x), which y has, as in
    mixed precision.
    `enabled=False` leaves base(x) alone, bit for bit.
    """

    def __init__(
        self,
        base: nn.Module,
        A: Float[Tensor, "rank inputs"],
        B: Float[Tensor, "outputs rank"],
        config: LoRA,
    ) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_A, self.lora_B = nn.Parameter(A), nn.Parameter(B)
        self.config, self.enabled = config, True

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "..."]:
        """y = W x + s B A dropout(x): what W sees is never dropped."""
        y = self.base(x)
        if not self.enabled:
            return y
        adapter = self.lora_A, self.lora_B, self.scale
        return add_low_rank_(y, self.dropped(x), *adapter)

    def dropped(self, x: Tensor) -> Tensor:
        """x as the adapter sees it: while training some of it 0, the rest larger."""
        return nn.functional.dropout(x, self.config.dropout, self.training)

    @property
    def scale(self) -> float:
        """s."""
        return self.config.scale

    @property
    def update(self) -> Float[Tensor, "outputs inputs"]:
        """ΔW = s B A."""
        return self.scale * (self.lora_B @ self.lora_A).detach()

    def extra_repr(self) -> str:
        """Rank and scale, for printing a model."""
        return f"rank={self.config.rank}, scale={self.scale:g}"
