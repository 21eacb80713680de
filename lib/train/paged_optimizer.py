"""AdamW whose moments lie in pages that come and go.

    m ← m + (1 - β₁)(g - m),   v ← β₂ v + (1 - β₂) g²
    w ← w - η λ w,             w ← w - η / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)

Every number's step needs nothing but its own m and v. So the parameters, laid end to
end, are cut into pages, and a step touches one page after the other, to and fro, so
that the next step begins with the pages that are in memory (pages.py tells why).

Guarantee: bit for bit the parameters, m and v of torch.optim.AdamW (foreach=False) on
the same gradients, whatever the page size and the capacity. The two share a format of
`state_dict`.
Read in order: `PagedAdamW.step`, `adamw`. Taught in notebooks/10.
Sources: Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2; paging: Dettmers et
al. 2023, arXiv:2305.14314, section 3.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from lib.train.pages import Pages

PAGE = 2**16  # bytes of m and v together


@dataclass(frozen=True)
class Span:
    """A run of a parameter's numbers, `first` to `last`, at `at` in its page."""

    parameter: nn.Parameter
    group: int
    first: int
    last: int
    at: int

    def of(self, whole: Tensor) -> Float[Tensor, " numbers"]:
        """These numbers of the parameter, or of its gradient."""
        flat = whole.reshape(-1)
        return flat if len(self) == flat.numel() else flat[self.first : self.last]

    def __len__(self) -> int:
        return self.last - self.first


class PagedAdamW(Optimizer):
    """AdamW over float32 parameters, m and v in pages of `page` bytes.

    `capacity` is what the parameters' device grants the pages, in bytes (by default all
    they need). Give memory away for a while by `pages.yielding(bytes)`; `pages.moves`
    tells what moved. ValueError for parameters of another dtype, on two devices or not
    contiguous, for a page too small for one number's m and v, for settings out of
    range, and for a group that is added when the pages are laid out.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-4,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        page: int = PAGE,
        capacity: int | None = None,
    ) -> None:
        settings = {"lr": lr, "eps": eps, "weight_decay": weight_decay}
        if min(settings.values()) < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{settings}, betas={betas}: out of range")
        super().__init__(params, settings | {"betas": betas})
        owned = [p for group in self.param_groups for p in group["params"]]
        kinds = {(p.device, p.dtype) for p in owned}
        if len(kinds) != 1 or next(iter(kinds))[1] != torch.float32:
            raise ValueError(f"parameters are {sorted(map(str, kinds))}, not float32")
        if strided := sum(not p.is_contiguous() for p in owned):
            raise ValueError(f"{strided} parameters are not contiguous")
        if page < 8:
            raise ValueError(f"page={page} bytes hold no m and v")
        self.numbers = page // 8  # whose m and v share a page
        self.spans = list(self._cut())
        size, count = 8 * self.numbers, len(self.spans)
        whole = size * count
        granted = whole if capacity is None else capacity
        self.pages = Pages(
            count, 2 * self.numbers, capacity=granted, device=owned[0].device
        )
        self.steps = 0

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Before the pages are laid out, as any optimizer; ValueError later."""
        if hasattr(self, "pages"):
            raise ValueError(f"the {self.pages.count} pages have no room for a group")
        super().add_param_group(param_group)

    def _cut(self) -> Iterator[list[Span]]:
        """The spans of each page, a group's parameters laid end to end."""
        for number, group in enumerate(self.param_groups):
            page, room = [], self.numbers
            for parameter in group["params"]:
                first = 0
                while first < parameter.numel():
                    last = min(first + room, parameter.numel())
                    page.append(
                        Span(parameter, number, first, last, self.numbers - room)
                    )
                    room -= last - first
                    first = last
                    if not room:
                        yield page
                        page, room = [], self.numbers
            if page:
                yield page

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter; ValueError for one without a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if bare := sum(p.grad is None for p in group["params"]):
                raise ValueError(f"{bare} parameters have no gradient")
        self.steps += 1
        order = range(len(self.spans))
        for index in order if self.steps % 2 else reversed(order):
            self._update(self.spans[index], *self.pages.touch(index).view(2, -1))
        return loss

    def _update(self, spans: list[Span], m: Tensor, v: Tensor) -> None:
        """A page's step: a few long operations, and not a few for every parameter."""
        group = self.param_groups[spans[0].group]
        places = [span.of(span.parameter) for span in spans]
        w = torch.cat(places)
        g = torch.cat([span.of(span.parameter.grad) for span in spans])
        settings = {k: group[k] for k in ("lr", "betas", "eps", "weight_decay")}
        adamw(w, g, m[: len(w)], v[: len(w)], step=self.steps, **settings)
        sizes = [span.last - span.first for span in spans]
        torch._foreach_copy_(
            [span.of(span.parameter) for span in spans], w.split(sizes)
        )

    def moments(self) -> dict[nn.Parameter, tuple[Tensor, Tensor]]:
        """Copies of each parameter's m and v, on the CPU; no page moves."""
        parts: dict[nn.Parameter, list[tuple[Tensor, Tensor]]] = {}
        for index, spans in enumerate(self.spans):
            m, v = self.pages.peek(index).split(self.numbers)
            for span in spans:
                there = slice(span.at, span.at + len(span))
                parts.setdefault(span.parameter, []).append((m[there], v[there]))
        return {
            p: tuple(torch.cat(part).view(p.shape) for part in zip(*runs, strict=True))
            for p, runs in parts.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """As torch.optim.AdamW's: step, exp_avg, exp_avg_sq of each parameter."""
        whole = super().state_dict()
        owned = [p for group in self.param_groups for p in group["params"]]
        moments = self.moments() if self.steps else {}
        whole["state"] = {
            index: {
                "step": torch.tensor(float(self.steps)),
                "exp_avg": moments[p][0],
                "exp_avg_sq": moments[p][1],
            }
            for index, p in enumerate(owned)
            if p in moments
        }
        return whole

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take such a state; ValueError where its steps differ or a shape does."""
        state = state_dict["state"]
        owned = [p for group in self.param_groups for p in group["params"]]
        steps = {int(one["step"]) for one in state.values()} or {0}
        if len(steps) > 1 or len(state) not in (0, len(owned)):
            raise ValueError(
                f"{len(state)} of {len(owned)} parameters have a state, "
                f"after {sorted(steps)} steps"
            )
        for index, one in state.items():
            if one["exp_avg"].shape != owned[index].shape:
                raise ValueError(
                    f"parameter {index} is {tuple(owned[index].shape)}, its state "
                    f"{tuple(one['exp_avg'].shape)}"
                )
        super().load_state_dict({**state_dict, "state": {}})
        self.steps = steps.pop()
        flat = {
            p: [state[i][k].reshape(-1) for k in ("exp_avg", "exp_avg_sq")]
            for i, p in enumerate(owned)
            if i in state
        }
        for index, spans in enumerate(self.spans):
            page = self.pages.touch(index).zero_().view(2, -1)
            for span in spans if flat else ():
                there = slice(span.at, span.at + len(span))
                for half, moment in zip(page, flat[span.parameter], strict=True):
                    half[there] = moment[span.first : span.last]


def adamw(
    w: Float[Tensor, " n"],
    g: Float[Tensor, " n"],
    m: Float[Tensor, " n"],
    v: Float[Tensor, " n"],
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> None:
    """One step of AdamW on w, m and v, in place; `step` counts from 1."""
    w.mul_(1 - lr * weight_decay)
    m.lerp_(g, 1 - betas[0])
    v.mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])
    size = lr / (1 - betas[0] ** step)
    root = (1 - betas[1] ** step) ** 0.5
    w.addcdiv_(m, (v.sqrt() / root).add_(eps), value=-size)
