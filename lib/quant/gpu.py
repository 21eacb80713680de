"""The door from lib.quant to lib.kernels: open on a GPU with Triton, else closed.

lib.kernels imports lib.quant for its references. So lib.quant imports it only here, and
only when a tensor on a GPU comes: on a CPU its own code is all that ever runs.
"""

from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor


def kernels_for(x: Tensor) -> ModuleType | None:
    """`lib.kernels` where they can take x: its device, its dtype, and Triton is there.

    None says: go on without.
    """
    if not x.is_cuda or x.dtype not in (torch.float16, torch.bfloat16, torch.float32):
        return None
    kernels = import_module("lib.kernels")
    return kernels if kernels.compiler.MISSING is None else None
