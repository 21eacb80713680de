"""The door from lib.quant to lib.kernels: open on a GPU with Triton, else closed.

lib.kernels imports lib.quant for its references. So lib.quant imports it only here, and
only when a tensor on a GPU comes: on a CPU its own code is all that ever runs.
"""

from importlib import import_module
from types import ModuleType

import torch


def kernels_on(device: torch.device) -> ModuleType | None:
    """`lib.kernels` where they run: on a GPU, if Triton is there. None: do without."""
    if device.type != "cuda":
        return None
    kernels = import_module("lib.kernels")
    return kernels if kernels.compiler.MISSING is None else None
