"""Fine-tune what learns, resume after a kill, survive a step that does not fit.

    for t = 1 … T:   g = ∇ mean over the batch of -log p(x_i | x_<i)
                     g ← g · min(1, clip / ‖g‖);   w ← AdamW(w, g, η_t)

η_t rises over the warm-up and is constant then. Step t draws its batch and its dropout
from (seed, t) alone; so a run that was killed and goes on equals, bit for bit, one that
was not. Where the device runs out of memory in a step, the optimizer's pages go home,
and the step is tried again.

Read in order: `Recipe`, `fine_tune`, `_gradients`, `_State`. Taught in notebooks/10.
Source: Dettmers et al. 2023, arXiv:2305.14314, appendix B: clip 0.3, constant η.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from lib.layers.packed import PackedLinear
from lib.progress import progress
from lib.train.graph import RecordedPasses
from lib.train.paged_optimizer import PagedAdamW
from lib.train.qlora import adapter_parameters, adapters

FILE = "fine_tune.safetensors"


@dataclass(frozen=True)
class Recipe:
    """Steps of `batch` windows each, and how far they go.

    `checkpointing` keeps each block's input only, and runs the block again in the
    backward pass. ValueError for numbers out of range.
    """

    steps: int
    batch: int = 1
    lr: float = 2e-4
    warmup: int = 0
    clip: float = 0.3
    weight_decay: float = 0.0
    checkpointing: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no run."""
        if self.steps < 1 or self.batch < 1 or not 0 <= self.warmup <= self.steps:
            raise ValueError(f"{self}: steps, batch or warmup out of range")
        if min(self.lr, self.clip) <= 0 or self.weight_decay < 0:
            raise ValueError(f"{self}: lr, clip or weight_decay out of range")

    def rate(self, step: int) -> float:
        """η of a step, the first of which is 1."""
        return self.lr * min(1.0, step / self.warmup) if self.warmup else self.lr

    def draw(self, step: int, count: int) -> list[int]:
        """The batch of a step out of `count` windows: each once, then each again."""
        first = (step - 1) * self.batch
        chosen = []
        for at in range(first, first + self.batch):
            turn = torch.Generator().manual_seed(self.seed * 10_007 + at // count)
            chosen.append(torch.randperm(count, generator=turn)[at % count].item())
        return chosen


def fine_tune(
    model: nn.Module,
    windows: Int[Tensor, "n window"],
    recipe: Recipe,
    *,
    optimizer: PagedAdamW | None = None,
    folder: Path | None = None,
    after: Callable[[int, float], None] | None = None,
    recorded: bool = False,
) -> list[float]:
    """Train the model's adapters in place; the loss of every step, before its update.

    `optimizer` is over `adapter_parameters(model)`, by default one whose pages all fit.
    `folder` keeps the state after each step: the same call goes on from there. `after`
    sees each step and its loss. `recorded` runs both passes as one CUDA graph: faster
    where the host is what a GPU waits for. ValueError where nothing has an adapter, for
    a loss that is not finite, for a folder of another recipe, base or adapter, or of
    other windows, and for a recorded dropout.
    """
    learned = adapter_parameters(model)
    if not learned:
        raise ValueError("no layer of the model has an adapter")
    rates = {layer.config.dropout for layer in adapters(model).values()}
    if recorded and rates != {0}:
        raise ValueError(f"a recording repeats its draws: dropout={max(rates)}")
    if optimizer is None:
        optimizer = PagedAdamW(learned.values(), weight_decay=recipe.weight_decay)
    made_by = f"{asdict(recipe)}, {_fingerprints(model, windows)}"
    state = _State(folder, made_by, learned, optimizer)
    losses = state.read()
    steps = range(len(losses) + 1, recipe.steps + 1)
    passes = None
    with _training(model, recipe, recorded):
        for step in progress(steps, "fine-tuning"):
            ids = windows[recipe.draw(step, len(windows))]
            if recorded:
                passes = passes or _recorded(model, learned, ids)
                loss = passes(ids)
            else:
                seed = recipe.seed * 10_007 + step
                loss = _gradients(model, ids, optimizer, seed=seed)
            if not loss.isfinite():
                raise ValueError(f"step {step}: the loss is {loss.item()}")
            clip_grad_norm_(learned.values(), recipe.clip)
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            state.write(losses)
            if after is not None:
                after(step, losses[-1])
    return losses


def next_token_loss(
    model: nn.Module, ids: Int[Tensor, "batch window"]
) -> Float[Tensor, ""]:
    """Mean of -log p(x_t | x_<t) over all but the first tokens, in float32."""
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    return nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def _gradients(
    model: nn.Module, ids: Tensor, optimizer: PagedAdamW, *, seed: int
) -> Float[Tensor, ""]:
    """One forward and backward pass; once more without pages, where memory ran out."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            loss = next_token_loss(model, ids)
            loss.backward()
            return loss.detach()
        except torch.OutOfMemoryError:
            pass  # outside of `except`, for the error holds on to the activations
    optimizer.zero_grad()
    with torch.random.fork_rng(), optimizer.pages.yielding(optimizer.pages.capacity):
        torch.manual_seed(seed)
        loss = next_token_loss(model, ids)
        loss.backward()
    return loss.detach()


def _recorded(
    model: nn.Module, learned: dict[str, nn.Parameter], ids: Tensor
) -> RecordedPasses:
    """Both passes for batches of this shape."""
    return RecordedPasses(
        lambda batch: next_token_loss(model, batch), learned.values(), ids
    )


@contextmanager
def _training(model: nn.Module, recipe: Recipe, recorded: bool = False):
    """In training mode, with checkpointing where it is wanted; then as it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    if recipe.checkpointing:
        how = {"use_reentrant": False, "preserve_rng_state": not recorded}
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)
    try:
        yield
    finally:
        if recipe.checkpointing:
            model.gradient_checkpointing_disable()
        for module, mode in modes:
            module.training = mode


def _fingerprints(model: nn.Module, windows: Tensor) -> str:
    """What the windows hold, and what each adapter and the base beneath it are."""
    layers = {
        name: (tuple(layer.lora_A.shape), layer.config, _kind(layer.base))
        for name, layer in adapters(model).items()
    }
    named = {"tokens": windows.cpu().numpy().tobytes(), "layers": repr(layers).encode()}
    digests = {name: hashlib.sha256(data) for name, data in named.items()}
    return ", ".join(f"{name} {d.hexdigest()[:16]}" for name, d in digests.items())


def _kind(base: nn.Module) -> str:
    """How a base is held: codes of what sort, or weights of what dtype."""
    packed = isinstance(base, PackedLinear)
    return repr(base.metadata if packed else (base.weight.shape, base.weight.dtype))


class _State:
    """The file of a run: adapters, m, v and losses; written to a draft and renamed."""

    def __init__(
        self,
        folder: Path | None,
        made_by: str,
        learned: dict[str, nn.Parameter],
        optimizer: PagedAdamW,
    ) -> None:
        self.path = None if folder is None else Path(folder) / FILE
        self.made_by, self.learned, self.optimizer = made_by, learned, optimizer

    def read(self) -> list[float]:
        """Go on from the file; the losses so far."""
        if self.path is None or not self.path.is_file():
            return []
        with safe_open(self.path, "pt") as file:
            theirs = (file.metadata() or {}).get("by")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if theirs != self.made_by:
            raise ValueError(f"{FILE} was made by {theirs}, not by {self.made_by}")
        losses = tensors["losses"].tolist()
        state = self.optimizer.state_dict()
        state["state"] = {
            index: {
                "step": float(len(losses)),
                "exp_avg": tensors[f"{name}.m"],
                "exp_avg_sq": tensors[f"{name}.v"],
            }
            for index, name in enumerate(self.learned)
        }
        self.optimizer.load_state_dict(state)
        with torch.no_grad():
            for name, parameter in self.learned.items():
                parameter.copy_(tensors[name])
        return losses

    def write(self, losses: list[float]) -> None:
        """Keep the state after a step."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        moments = self.optimizer.moments()
        tensors = {"losses": torch.tensor(losses, dtype=torch.float64)}
        for name, parameter in self.learned.items():
            m, v = moments[parameter]
            mine = {"": parameter.detach().cpu(), ".m": m, ".v": v}
            tensors |= {name + end: t.contiguous() for end, t in mine.items()}
        draft = self.path.with_suffix(f".{os.getpid()}.draft")
        save_file(tensors, draft, metadata={"by": self.made_by})
        draft.replace(self.path)
