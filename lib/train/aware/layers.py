"""A linear layer that is trained as it will be stored: y = x Ŵᵀ + b.

The float weights learn; every pass rounds them anew, and the gradient goes straight
through (lib/quant/aware). At the end `pack` keeps the codes, and the float weights go.

    aware = make_aware(model, Trained(bits=2, group=64))     in place, by layer's name
    …train the model…
    pack(model)                                              `PackedLinear`s

Guarantees: an aware layer begins as round-to-nearest, on grids with searched clipping
(`fit_groups`); its scales pass through fp16 and its zeros through integers in each
pass, so that the packed Ŵ is the one that was trained, bit for bit. (Ternary: but for
γ in fp16.)

Read in order: `Trained`, `AwareLinear`, `GridLinear`, `make_aware`, `pack`. Taught in
notebooks/08.
Sources: Krishnamoorthi 2018, arXiv:1806.08342, section 3; steps that learn: Esser et
al. 2020, arXiv:1902.08153; s = exp(ρ), which stays positive: Jain et al. 2020, "TQT",
arXiv:1903.08066.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from lib.layers.packed import PackedLinear
from lib.models.walk import replace_layer, select_layers
from lib.quant.aware.lsq import lsq, lsq_codes
from lib.quant.aware.ste import round_ste, straight_through
from lib.quant.aware.ternary import BitNet158, ternarize
from lib.quant.method import Quantized
from lib.quant.uniform.grid import Grid
from lib.quant.uniform.grouped import LEAST_SCALE, Grouped, check_settings, fit_groups

CANDIDATES = 16  # clipped ranges that the first grid is chosen from
TERNARY = "ternary"


@dataclass(frozen=True)
class Trained:
    """How weights are rounded while they learn: on grids of `bits`, or ternary.

    `learned` says whether scales and zeros learn too, or stay where round-to-nearest
    put them. Ternary weights have one scale a matrix, which follows them. ValueError
    for what is no grid.
    """

    bits: int | str = 2
    group: int = 64
    learned: bool = True

    def __post_init__(self) -> None:
        """Refuse what is neither."""
        if self.bits == TERNARY:
            return
        if isinstance(self.bits, str):
            raise ValueError(f"bits={self.bits!r} is no number, and not {TERNARY!r}")
        check_settings(self.bits, self.group, False, CANDIDATES)

    def layer(self, linear: nn.Linear) -> "AwareLinear":
        """The layer that takes the place of `linear`, and its weights as they are."""
        if self.bits == TERNARY:
            return TernaryLinear(linear)
        return GridLinear(linear, self)


class AwareLinear(nn.Module):
    """`nn.Linear` whose products see Ŵ; `weight` and `bias` are the linear layer's."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def rounded(self) -> Float[Tensor, "rows cols"]:
        """Ŵ, through which a gradient reaches what learns."""
        raise NotImplementedError

    def quantized(self) -> Quantized:
        """Ŵ as it is stored."""
        raise NotImplementedError

    def forward(self, x: Float[Tensor, "*batch cols"]) -> Float[Tensor, "*batch rows"]:
        """y = x Ŵᵀ + b."""
        return nn.functional.linear(x, self.rounded().to(x.dtype), self.bias)


class GridLinear(AwareLinear):
    """Ŵ = s (q − z), a grid for each run of columns; ρ = log s and z may learn."""

    def __init__(self, linear: nn.Linear, settings: Trained) -> None:
        super().__init__(linear)
        grid = fit_groups(
            linear.weight.detach(),
            bits=settings.bits,
            group=settings.group,
            candidates=CANDIDATES,
        )
        self.high = grid.high
        self.log_scale = nn.Parameter(grid.scale.log(), settings.learned)
        self.zero = nn.Parameter(grid.zero.to(grid.scale), settings.learned)

    def grid(self) -> tuple[Float[Tensor, "rows groups"], Float[Tensor, "rows groups"]]:
        """s, a number of fp16, and z, a code; the gradients of ρ and z pass."""
        scale = self.log_scale.exp()
        stored = scale.detach().half().clamp(min=LEAST_SCALE).to(scale)
        return straight_through(scale, stored), round_ste(self.zero.clamp(0, self.high))

    def rounded(self) -> Float[Tensor, "rows cols"]:
        """Ŵ by `lsq`."""
        return lsq(self.weight, *self.grid(), 0, self.high)

    def quantized(self) -> Grouped:
        """Codes and grids; ValueError for a scale beyond fp16."""
        scale, zero = (t.detach() for t in self.grid())
        codes = lsq_codes(self.weight, scale, zero, 0, self.high)
        return Grouped(codes, Grid(scale, zero.int(), 0, self.high))


class TernaryLinear(AwareLinear):
    """Ŵ = γ T, γ = mean |W|."""

    def rounded(self) -> Float[Tensor, "rows cols"]:
        """Ŵ by `ternarize`."""
        return ternarize(self.weight)

    def quantized(self) -> Quantized:
        """Trits, five in a byte, and γ."""
        return BitNet158().quantize(self.weight.detach())


def make_aware(
    model: nn.Module, settings: Trained, names: Iterable[str] | None = None
) -> dict[str, AwareLinear]:
    """Put an aware layer where each linear layer is (all but the head), in place.

    `names` selects layers. Nothing but their weights and grids learns from now on: the
    rest of the model is frozen. ValueError for other names, and a group that does not
    divide a layer's columns; then nothing is changed.
    """
    layers = select_layers(model, names)
    aware = {name: settings.layer(layer) for name, layer in layers.items()}
    model.requires_grad_(False)
    for name, layer in aware.items():
        layer.weight.requires_grad_(True)
        if isinstance(layer, GridLinear) and settings.learned:
            layer.log_scale.requires_grad_(True)
            layer.zero.requires_grad_(True)
        replace_layer(model, name, layer.train(model.training))
    return aware


def pack(model: nn.Module) -> dict[str, PackedLinear]:
    """Put each aware layer's codes in its place; ValueError where there is none."""
    found = {n: m for n, m in model.named_modules() if isinstance(m, AwareLinear)}
    if not found:
        raise ValueError("no aware layer in the model")
    packed = {}
    for name, layer in found.items():
        bias = None if layer.bias is None else layer.bias.detach()
        packed[name] = PackedLinear.from_quantized(layer.quantized(), bias, name=name)
        replace_layer(model, name, packed[name])
    return packed
