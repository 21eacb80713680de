"""Both passes of a step as one CUDA graph: the host starts one thing, and not 10,000.

    record:  loss = -mean log p(x_i | x_<i),   g = ∇ loss        kernels, in their order
    replay:  ids → their place;   once more;   g is where it was

With checkpointing a step of a large model is more than ten thousand kernels, most of
them of microseconds. Started one by one they wait for the host; in a recording each
begins when the one before ends. What a recording knows are places: so tokens, loss and
gradients keep theirs, every step has the shape of the first, and nothing may be drawn
in between, as dropout draws.

Where there is no GPU the same lines run anew each time.

Read in order: `RecordedPasses`. Who uses it: loop.py.
"""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

WARM = 2  # runs before the recording: libraries choose, kernels are compiled


class RecordedPasses:
    """Loss and gradients of `learned` at batches of the shape of `ids`.

    `loss_of(ids)` is a scalar; its kernels depend on nothing but the shape.
    """

    def __init__(
        self,
        loss_of: Callable[[Tensor], Float[Tensor, ""]],
        learned: Iterable[nn.Parameter],
        ids: Int[Tensor, "batch window"],
    ) -> None:
        self.loss_of, self.learned = loss_of, list(learned)
        self.ids = ids.clone()
        self.recording: torch.cuda.CUDAGraph | None = None
        if ids.is_cuda:
            self._record()

    def __call__(self, ids: Int[Tensor, "batch window"]) -> Float[Tensor, ""]:
        """The loss; every parameter's `grad` holds until the next call.

        ValueError for a batch of another shape.
        """
        if ids.shape != self.ids.shape:
            raise ValueError(
                f"a batch of {tuple(ids.shape)}, where {tuple(self.ids.shape)} was "
                "recorded"
            )
        self.ids.copy_(ids)
        if self.recording is None:
            self._passes()
        else:
            self.recording.replay()
        for parameter, gradient in zip(self.learned, self.gradients, strict=True):
            parameter.grad = gradient
        return self.loss

    def _passes(self) -> None:
        """Forward and backward; no gradient is added to one that was there before."""
        for parameter in self.learned:
            parameter.grad = None
        loss = self.loss_of(self.ids)
        loss.backward()
        self.loss = loss.detach()
        self.gradients = [parameter.grad for parameter in self.learned]

    def _record(self) -> None:
        aside = torch.cuda.Stream()  # work of the usual stream cannot be recorded
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM):
                self._passes()
        torch.cuda.current_stream().wait_stream(aside)
        self.recording = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.recording):
            self._passes()
