"""What every product refuses, in the same words."""

import torch
from torch import Tensor

DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def checked_activations(x: Tensor, cols: int, device: torch.device) -> Tensor:
    """x as a matrix of `cols` columns on `device`; else a ValueError that says why."""
    if x.dtype not in DTYPES:
        raise ValueError(f"x is {x.dtype}, not one of {', '.join(map(str, DTYPES))}")
    if x.ndim < 1 or x.shape[-1] != cols:
        raise ValueError(f"x of shape {tuple(x.shape)} does not end in {cols} columns")
    if x.device != device:
        raise ValueError(f"x is on {x.device}, the weights on {device}")
    if x.requires_grad and torch.is_grad_enabled():
        raise ValueError("x wants a gradient; under torch.no_grad() there is a product")
    return x.reshape(-1, cols)
