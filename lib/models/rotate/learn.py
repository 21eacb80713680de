"""Learn the rotations: those under which rounding the inputs costs least.

    minimize over R1, R2    E[ −log p(token) ]  of the model with rounded inputs
    x ← Rᵀ Q(R x)           in place of a rotated model: the weights stay

Any rotation leaves the model what it is, but not what rounding does to it. While only
what flows is rounded, a rotated model is the plain one whose inputs are turned, rounded
and turned back; so a step costs two small products a layer, and no weight is made anew.
The weights are rounded afterwards, by GPTQ, as the paper does with its best results.

The gradient reaches R through the rounding straight through. A step of `CayleySGD`
keeps R a rotation.

Read in order: `turned`, `learn_rotations`.  Taught in notebooks/07.
Source: Liu et al. 2024, "SpinQuant", arXiv:2405.16406, section 3.2.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from lib.models.llama import feeds
from lib.models.rotate.fold import fold_norms, untie_head
from lib.models.rotate.turn import Rotations, rotate_down
from lib.progress import progress
from lib.quant.aware.tokens import check_tokens, fake_tokens
from lib.quant.rotations.cayley import CayleySGD


@contextmanager
def turned(
    model: PreTrainedModel,
    stream: Float[Tensor, "d d"],
    heads: Float[Tensor, "layers h h"],
    rounded: Callable[[Tensor], Tensor],
) -> Iterator[None]:
    """A folded model rounds as if it were rotated, for the length of a `with` block."""

    def before(r: Tensor) -> Callable:
        last: list[tuple[Tensor, Tensor]] = []  # q, k and v read one tensor

        def hook(layer: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            if not last or last[0][0] is not args[0]:
                last[:] = [(args[0], rounded(args[0] @ r) @ r.T)]
            return (last[0][1],)

        return hook

    def before_o(r: Tensor) -> Callable:
        def hook(layer: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            runs = args[0].unflatten(-1, (-1, len(r))) @ r  # head by head
            back = rounded(runs.flatten(-2)).view_as(runs) @ r.T  # one grid a token
            return (back.flatten(-2),)

        return hook

    handles, layer = [], iter(heads)
    for feed in feeds(model):
        hook = before(stream)
        if feed.name.endswith("v_proj"):
            hook = before_o(next(layer))
        if feed.name.endswith("up_proj"):  # its reader, down_proj, has R4 already
            hook = lambda layer, args: (rounded(args[0]),)  # noqa: E731
        handles += [m.register_forward_pre_hook(hook) for m in feed.readers.values()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def learn_rotations(
    model: PreTrainedModel,
    windows: Int[Tensor, "n window"],
    start: Rotations,
    *,
    bits: int = 4,
    clip: float = 1.0,
    steps: int = 100,
    rate: float = 1.5,
    batch: int = 8,
    seed: int = 0,
) -> tuple[Rotations, list[float]]:
    """R1 and R2 after `steps` of Cayley SGD from `start`, and each step's loss in nats.

    `bits` a number of the inputs, and their clip, as in `fake_tokens`. The rate falls
    to 0 along a line. The model stays as it is: a folded copy learns. ValueError for
    less than one step or window, and as the parts of it.
    """
    if steps < 1 or batch < 1 or not len(windows):
        raise ValueError(f"steps={steps}, batch={batch}, {len(windows)} windows")
    check_tokens(bits, clip)
    folded = copy.deepcopy(model).requires_grad_(False)
    untie_head(folded)
    fold_norms(folded)
    rotate_down(folded)
    device = windows.device
    stream = nn.Parameter(start.stream.to(device, torch.float32))
    heads = nn.Parameter(start.heads.to(device, torch.float32))
    optimizer = CayleySGD([stream, heads])
    draw, losses = torch.Generator().manual_seed(seed), []
    rounded = partial(fake_tokens, bits=bits, clip=clip)
    for step in progress(range(steps), "learning rotations"):
        ids = windows[torch.randint(len(windows), (batch,), generator=draw)]
        optimizer.zero_grad()
        with turned(folded, stream, heads, rounded):
            logits = folded(ids, use_cache=False).logits[:, :-1]
        loss = cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step(rate * (1 - step / steps))
        losses.append(loss.item())
    return Rotations(stream.detach(), heads.detach()), losses
