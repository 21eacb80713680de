"""A packed layer whose constants learn while its codes stay: y = Ŵ(θ) x + b.

θ is whatever the packed tensors hold in floating point: a grid's scales, an additive
matrix's codebooks, a lattice's or a trellis's σ. Every pass rounds θ to its dtype in
the file, and the gradient goes straight through; so what is trained is what is stored.

Rotated matrices (`Incoherent`) have signs beside, ±1 and a bit each. `SignedHadamard`
multiplies by them once, so that any numbers will do: here they become a factor a row
and a factor a column, in fp16, which learn. That costs 16 (1/rows + 1/cols) bits a
weight, 0.05 on SmolLM2's layers, and is counted.

Read in order: `TunedLinear`, `tunable`, `packed_again`.
Source: QuIP#'s fine-tuning of sign vectors: Tseng et al. 2024, arXiv:2402.04396,
section 5; codebooks and scales: AQLM, Egiazarian et al. 2024, arXiv:2401.06118, 3.2.
"""

from jaxtyping import Float
from torch import Tensor, nn

from lib.layers.packed import PackedLinear
from lib.models.walk import replace_layer
from lib.quant.aware.ste import straight_through
from lib.quant.method import Quantized
from lib.quant.rotations.incoherence import Incoherent
from lib.quant.serialize import deserialize


class TunedLinear(nn.Module):
    """The layer of a `PackedLinear`; its floating-point tensors are parameters.

    `outcome`, where it is set to a list, gets the Ŵ of each pass.
    """

    def __init__(self, layer: PackedLinear) -> None:
        super().__init__()
        self.metadata, self.name = layer.metadata, layer.name
        tensors = {name: t.clone() for name, t in layer.tensors().items()}
        quantized = deserialize(tensors, self.metadata)
        if isinstance(quantized, Incoherent):
            for side in ("left", "right"):
                tensors[side] = getattr(quantized, side).signs.half()
        learned = {n: t for n, t in tensors.items() if t.is_floating_point()}
        self.dtypes = {name: tensor.dtype for name, tensor in learned.items()}
        self.codes = {n: t for n, t in tensors.items() if n not in learned}
        self.constants = nn.ParameterDict(
            {name: nn.Parameter(tensor.float()) for name, tensor in learned.items()}
        )
        self.register_buffer("bias", layer.bias)
        self.outcome: list[Tensor] | None = None

    def quantized(self) -> Quantized:
        """The matrix, through whose dequantizing a gradient reaches the constants."""
        stored = {
            name: straight_through(p, p.detach().to(self.dtypes[name]).float())
            for name, p in self.constants.items()
        }
        return deserialize(self.codes | stored, self.metadata)

    def forward(self, x: Float[Tensor, "*batch cols"]) -> Float[Tensor, "*batch rows"]:
        """y = Ŵ x + b."""
        w = self.quantized().dequantize()
        if self.outcome is not None:
            w.retain_grad()
            self.outcome.append(w)
        return nn.functional.linear(x, w.to(x.dtype), self.bias)

    def packed(self) -> PackedLinear:
        """The layer with its constants as they are now, in their dtypes."""
        stored = {n: p.detach().to(self.dtypes[n]) for n, p in self.constants.items()}
        return PackedLinear(
            self.codes | stored, self.metadata, self.bias, name=self.name
        )


def tunable(block: nn.Module) -> dict[str, TunedLinear]:
    """Put a `TunedLinear` where each packed layer of a block is, in place; by name.

    They and the block's other parameters (its norms) learn from now on. ValueError for
    a block without packed layers.
    """
    found = {n: m for n, m in block.named_modules() if isinstance(m, PackedLinear)}
    if not found:
        raise ValueError(
            f"0 packed layers in {type(block).__name__}: quantize it first"
        )
    for module in block.modules():  # new parameters: the old ones are never written to
        for name, old in module._parameters.items():
            if old is not None:
                module._parameters[name] = nn.Parameter(old.detach().clone())
    tuned = {name: TunedLinear(layer) for name, layer in found.items()}
    for name, layer in tuned.items():
        replace_layer(block, name, layer)
    return tuned


def packed_again(block: nn.Module) -> None:
    """Put the packed layers back, as they were trained; nothing learns any more."""
    found = {n: m for n, m in block.named_modules() if isinstance(m, TunedLinear)}
    for name, layer in found.items():
        replace_layer(block, name, layer.packed())
    block.requires_grad_(False)
