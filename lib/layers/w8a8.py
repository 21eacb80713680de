"""A linear layer that multiplies int8 by int8 into int32, and scales once at the end.

    x ≈ s_x (q_x - z_x)      w_o ≈ s_o q_o        (input asymmetric, weights symmetric)
    y_o = s_x s_o [ Σ_k q_x,k q_o,k  -  z_x Σ_k q_o,k ] + b_o

The bracket is exact integer arithmetic: the product runs on codes, and the zero point
costs one row sum of the weights' codes, known before any input arrives. It fits int32
for up to 2^31 / (255 · 127) = 66,311 inputs. The only errors left are those of rounding
x and w, and the last digit of float32.
Read in order: `W8A8Linear.forward`, `from_linear`; the product is `int8_matmul` of
lib/quant/uniform. Taught in notebooks/03.
Source: Jacob et al. 2018, arXiv:1712.05877, section 2.2.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.quant.uniform.grid import Grid, fit_grid, quantize
from lib.quant.uniform.integer_matmul import int8_matmul

MOST_INPUTS = 2**31 // (255 * 127)


class W8A8Linear(nn.Module):
    """y = x Wᵀ + b in int8. `inputs` says whose grid x gets.

    "static": one grid from calibration; "tensor": one fitted to each input;
    "token": one fitted to each row of each input. All state is in `state_dict`.
    ValueError for another word, and for more inputs than int32 can sum.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        inputs: str = "token",
    ):
        super().__init__()
        if inputs not in ("static", "tensor", "token"):
            raise ValueError(f"inputs={inputs!r} is none of static, tensor, token")
        if not 0 < in_features <= MOST_INPUTS:
            raise ValueError(
                f"in_features={in_features} is not in 1 to {MOST_INPUTS} (int32)"
            )
        self.in_features, self.out_features = in_features, out_features
        self.inputs = inputs
        state = {
            "codes": torch.zeros(out_features, in_features, dtype=torch.int8),
            "scale": torch.ones(out_features),
            "code_sums": torch.zeros(out_features, dtype=torch.int32),
            "bias": torch.zeros(out_features) if bias else None,
        }
        if inputs == "static":
            state["input_scale"] = torch.ones(1, 1)
            state["input_codes"] = torch.tensor([-128, 0, 127])  # low, zero, high
        for name, value in state.items():
            self.register_buffer(name, value)

    @classmethod
    def from_linear(
        cls, linear: nn.Linear, *, inputs: Grid | str = "token", bits: int = 8
    ) -> "W8A8Linear":
        """Quantize a layer's weights per channel; a Grid makes the inputs static.

        ValueError for a Grid of more than one group.
        """
        static = isinstance(inputs, Grid)
        layer = cls(
            linear.in_features,
            linear.out_features,
            bias=linear.bias is not None,
            inputs="static" if static else inputs,
        )
        weight = linear.weight.detach()
        grid = fit_grid(weight, bits=bits, group="channel", symmetric=True)
        layer.codes = quantize(weight, grid)
        layer.scale = grid.scale.flatten().float()
        layer.code_sums = layer.codes.sum(1, dtype=torch.int32)
        if linear.bias is not None:
            layer.bias = linear.bias.detach().float().clone()
        if static:
            if inputs.scale.shape != (1, 1):
                raise ValueError(
                    f"a static input grid is (1, 1), not {tuple(inputs.scale.shape)}"
                )
            inputs = _signed(inputs)
            layer.input_scale = inputs.scale.float()
            layer.input_codes = torch.tensor(
                [inputs.low, inputs.zero.item(), inputs.high]
            )
        return layer.to(weight.device)

    def forward(self, x: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch n"]:
        """Quantize x, multiply in integers, scale; in and out in the dtype of x.

        ValueError for an x of another width.
        """
        if x.shape[-1] != self.in_features:
            raise ValueError(f"x has {x.shape[-1]} features, not {self.in_features}")
        tokens = x.reshape(-1, self.in_features)
        grid = self.input_grid(tokens)
        sums = int8_matmul(quantize(tokens, grid), self.codes.T)  # (tokens, n)
        sums = sums - grid.zero * self.code_sums  # Σ (q_x - z_x) q_o, still exact
        y = sums * (grid.scale * self.scale)
        if self.bias is not None:
            y = y + self.bias
        return y.to(x.dtype).unflatten(0, x.shape[:-1])

    def input_grid(self, tokens: Float[Tensor, "tokens k"]) -> Grid:
        """The grid of these inputs, in signed codes."""
        if self.inputs == "static":
            low, zero, high = self.input_codes.tolist()
            zero = torch.full_like(self.input_scale, zero, dtype=torch.int32)
            return Grid(self.input_scale, zero, low, high)
        group = "channel" if self.inputs == "token" else "tensor"
        return _signed(fit_grid(tokens, bits=8, group=group))

    def extra_repr(self) -> str:
        """What `print(model)` says of the layer."""
        return f"{self.in_features}, {self.out_features}, inputs={self.inputs}"


def _signed(grid: Grid) -> Grid:
    """The grid under int8 codes: 0 … 2^b - 1 become -2^(b-1) … 2^(b-1) - 1."""
    return grid.shifted(-(2 ** (grid.bits - 1))) if grid.low == 0 else grid
