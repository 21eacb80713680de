"""A dense layer whose weights lie as a CPU's product reads them.

    y = W x + b, float32, W cut into blocks of the width of a vector register

A row-major W serves one token well: its product is a stream of dot products. For a few
tokens at once a library first copies W into blocks, in every call, and that copy costs
more than the product. So five tokens take twice the time of one. With W laid out in
blocks once, five tokens take the time of one: the time is that of reading W. A batch
pays at few tokens, and so does a draft that is checked in one pass.

The blocks are oneDNN's, by the operators that torch's compiler uses when it freezes a
model. They hold the same numbers, and take the place of the row-major ones. Only a head
that is tied to the embedding then lies in memory twice.

Read in order: `BlockedLinear`, `block_weights`.
Source: Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

TOKENS = 16  # the batch that oneDNN chooses its blocks for; they serve others as well


class BlockedLinear(nn.Module):
    """The same layer as `linear`, for inference on a CPU.

    ValueError for weights that are not float32 on a CPU; RuntimeError where torch was
    built without oneDNN.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        w = linear.weight
        if w.device.type != "cpu" or w.dtype != torch.float32:
            raise ValueError(f"weights are {w.dtype} on {w.device}, not float32 on cpu")
        if not torch.backends.mkldnn.is_available():
            raise RuntimeError("this torch has no oneDNN: keep the plain layers")
        self.out_features, self.in_features = w.shape
        self.blocks = torch.ops.mkldnn._reorder_linear_weight(w.detach(), TOKENS)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.data)

    @property
    def weight(self) -> Float[Tensor, "out_features in_features"]:
        """W, row by row: a copy, exact."""
        return self.blocks.to_dense()

    def forward(
        self, x: Float[Tensor, "... in_features"]
    ) -> Float[Tensor, "... out_features"]:
        """W x + b. ValueError for an x of another width."""
        if x.shape[-1] != self.in_features:
            raise ValueError(f"x is {x.shape[-1]} wide, and W has {self.in_features}")
        linear = torch.ops.mkldnn._linear_pointwise
        return linear(x, self.blocks, self.bias, "none", [], "")

    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = self.weight

    def extra_repr(self) -> str:
        """Sizes, as nn.Linear says them."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


def block_weights(model: nn.Module) -> int:
    """Replace every `nn.Linear` of `model` in place; how many there were.

    The model is for inference from then on. Raises as `BlockedLinear` does, and
    ValueError for a layer with hooks, before anything is replaced.
    """
    found = {
        path: layer
        for path, layer in model.named_modules(remove_duplicate=False)
        if path and type(layer) is nn.Linear
    }
    for path, layer in found.items():
        if layer._forward_pre_hooks or layer._forward_hooks:
            raise ValueError(f"{path} has hooks, which a layer in blocks would lose")
    blocked = {id(layer): BlockedLinear(layer) for layer in found.values()}
    for path, layer in found.items():
        parent, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent), name, blocked[id(layer)])
    return len(blocked)
