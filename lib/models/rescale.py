"""Trade a factor a channel between a layer and those that read it; the model stays.

    (g_j s_j) · RMSNorm(h)_j · (W_ij / s_j)  =  g_j · RMSNorm(h)_j · W_ij

What feeds a linear layer and the columns of that layer can trade any positive factor
s_j a channel, and the model computes what it did. Three uses:

- `plant_outliers`: s_j = 64 for a few channels. Activations get the outlier features of
  a model of 6.7 billion parameters; a power of two keeps every logit to the last bit.
- `smooth` (SmoothQuant) makes activations easier: it divides them by the factors of
  lib/quant/outliers/smooth.py, and multiplies the weights. Each is the other's inverse.
- `AWQ` makes weights easier: columns with large inputs are multiplied before rounding,
  by the scales of lib/quant/solvers/awq.py.

A model may bear Llama's names and mean something else: Gemma's norms multiply by 1 + g.
So each use first tries factors of 1 and 2, which round nothing, on a few tokens: where
the model then computes something else, it is refused.

Read in order: `trade`, `check_feeds`, `plant_outliers`, `smooth`; `AWQ`, `scale_model`.
What feeds what is in llama.py.  Taught in notebooks/04 and 06.
Sources: Xiao et al. 2023, arXiv:2211.10438, section 4; Lin et al. 2023,
arXiv:2306.00978, section 3.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lib.models.hooks import Arrival, stream_inputs
from lib.models.llama import Feed, feeds, head_dim, norm_feeds
from lib.models.sequential import visit_layers
from lib.quant.hessian import Hessian
from lib.quant.method import Method
from lib.quant.outliers.smooth import smoothing_factors
from lib.quant.solvers.awq import awq_scales
from lib.quant.uniform.grouped import GridSettings, Grouped

PROBE = 8  # tokens on which a trade is tried
TOLERANCE = 1e-3  # of the largest output; factors of 2 should move none


@torch.no_grad()
def trade(
    norm: nn.Module, linears: Iterable[nn.Linear], scale: Float[Tensor, " channels"]
) -> None:
    """Multiply the norm's outputs by `scale`, and divide the readers' columns by it.

    In the modules, by new parameters of the old dtype. ValueError unless `scale` is
    positive, finite and one number a channel, and where a product overflows.
    """
    linears = list(linears)
    for part in (norm, *linears):
        if part.weight.shape[-1] != len(scale):
            raise ValueError(
                f"{len(scale)} scales for the {part.weight.shape[-1]} channels of "
                f"{type(part).__name__}"
            )
    if not (scale.isfinite() & (scale > 0)).all():
        raise ValueError(
            f"scales from {scale.min().item()} to {scale.max().item()} are not all "
            "positive and finite"
        )
    set_parameter(norm, "weight", norm.weight * scale)
    if getattr(norm, "bias", None) is not None:
        set_parameter(norm, "bias", norm.bias * scale)
    for linear in linears:
        set_parameter(linear, "weight", linear.weight / scale)


def set_parameter(module: nn.Module, name: str, value: Tensor) -> None:
    """A new parameter in place of the old one, which stays as it was; its dtype.

    ValueError where a number overflows that dtype.
    """
    old = getattr(module, name)
    new = value.to(old.dtype)
    if lost := int((~new.isfinite() & old.isfinite()).sum()):
        raise ValueError(f"{lost} numbers of a {name} exceed {old.dtype} once rescaled")
    setattr(module, name, nn.Parameter(new, requires_grad=old.requires_grad))


@torch.no_grad()
def check_feeds(model: nn.Module, found: Iterable[Feed]) -> None:
    """ValueError unless the model stays what it is when these feeds trade a factor.

    Tried kind by kind, with factors of 1 and 2, on `PROBE` tokens; then all is as it
    was. The message names the kind, and how far the outputs moved.
    """
    body = getattr(model, "base_model", model)
    embeddings = model.get_input_embeddings().weight
    ids = torch.arange(PROBE, device=embeddings.device)[None] % len(embeddings)
    plain = body(ids, use_cache=False)[0].float()
    found = list(found)
    for kind in {feed.name.split(".", 3)[-1]: None for feed in found}:
        feeds_of_it = [feed for feed in found if feed.name.endswith(f".{kind}")]
        with _put_back(feeds_of_it):
            for feed in feeds_of_it:
                made = feed.source.weight.shape[0]
                own = 1.0 + torch.arange(made, device=embeddings.device) % 3 % 2
                _divide(feed, own, _columns_of(feed, own, head_dim(model.config)))
            moved = (body(ids, use_cache=False)[0].float() - plain).abs().amax()
        share = (moved / plain.abs().amax()).item()
        if not share < TOLERANCE:
            raise ValueError(
                f"{type(model).__name__} changes when {kind} "
                f"({type(feeds_of_it[0].source).__name__}) trades a factor with its "
                f"readers: its outputs move by {share:.1%} of their largest"
            )


@contextmanager
def _put_back(found: list[Feed]) -> Iterator[None]:
    """The parameters of these feeds return, whatever happens."""
    modules = [m for feed in found for m in (feed.source, *feed.readers.values())]
    before = [(module, dict(module._parameters)) for module in modules]
    try:
        yield
    finally:
        for module, parameters in before:
            module._parameters.update(parameters)


def _columns_of(
    feed: Feed, own: Float[Tensor, " made"], head: int
) -> Float[Tensor, " cols"]:
    """A factor for each column of the readers: heads of queries may share a value's."""
    cols, made = next(iter(feed.readers.values())).weight.shape[1], len(own)
    shared = cols // made
    heads = own.view(-1, 1, head if shared > 1 else made)
    return heads.expand(-1, shared, -1).flatten()


def _divide(
    feed: Feed, own: Float[Tensor, " made"], columns: Float[Tensor, " cols"]
) -> None:
    """Divide the source's channels by `own`; multiply the readers' columns."""
    for reader in feed.readers.values():
        set_parameter(reader, "weight", reader.weight * columns)
    source = feed.source
    set_parameter(
        source,
        "weight",
        source.weight / (own if source.weight.ndim == 1 else own[:, None]),
    )
    if getattr(source, "bias", None) is not None:
        set_parameter(source, "bias", source.bias / own)


def plant_outliers(
    model: nn.Module,
    channels: Iterable[int] | Int[Tensor, " n"],
    *,
    factor: float = 64.0,
) -> None:
    """Make `channels` outliers after every norm, in place, without changing the model.

    Outlier features of real models share their channels across layers and tokens.
    ValueError for channels that the model lacks, and a factor that is not positive.
    """
    channels = torch.as_tensor(channels, dtype=torch.long)
    found = norm_feeds(model)
    check_feeds(model, found)
    for feed in found:
        norm = feed.source
        width = norm.weight.shape[0]
        if not channels.numel() or not 0 <= channels.min() <= channels.max() < width:
            raise ValueError(
                f"channels {channels.tolist()} are not in 0 to {width - 1}"
            )
        scale = torch.ones_like(norm.weight)
        scale[channels] = factor
        trade(norm, feed.readers.values(), scale)


def smooth(
    model: nn.Module, windows: Int[Tensor, "n window"], *, alpha: float = 0.5
) -> None:
    """Fold SmoothQuant's factors into every norm, in place.

    `windows` are calibration tokens: they give max|X_j|. ValueError for an `alpha`
    outside [0, 1], and as `stream_inputs` and `norm_feeds`.
    """
    # All readers of a norm see the same inputs: it is enough to watch the first.
    found = norm_feeds(model)
    check_feeds(model, found)
    first = {next(iter(feed.readers)): feed for feed in found}
    peaks: dict[str, Tensor] = {}

    def watch(name: str):
        def receive(x: Tensor) -> None:
            peak = x.abs().amax(0).float()
            peaks[name] = torch.maximum(peaks.get(name, peak), peak)

        return receive

    stream_inputs(model, windows, {name: watch(name) for name in first})
    for name, feed in first.items():
        weights = torch.cat([linear.weight for linear in feed.readers.values()])
        w_max = weights.abs().amax(0).float()
        factors = smoothing_factors(peaks[name], w_max, alpha=alpha)
        trade(feed.source, feed.readers.values(), 1 / factors)


@dataclass(frozen=True)
class AWQ(GridSettings, Method):
    """Settings: 4 bits in groups of 64, 20 exponents α, 10 clipped ranges.

    ValueError for less than one exponent, and as in `GridSettings`.
    """

    calibrated: ClassVar[bool] = True
    candidates: int = 10
    exponents: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.exponents < 1:
            raise ValueError(f"exponents={self.exponents} must be at least 1")

    def prepare(self, model: nn.Module, windows: Int[Tensor, "n window"]) -> None:
        """Scale the model's channels, leaving what it computes as it is."""
        scale_model(model, windows, self)

    def quantize(self, w: Tensor, inputs: Hessian) -> Grouped:
        """Round to nearest, each group clipped where that lowers its weighted error."""
        return self.round(w, inputs.matrix.diagonal())


@torch.no_grad()
def scale_model(
    model: nn.Module, windows: Int[Tensor, "n window"], settings: AWQ
) -> dict[str, float]:
    """Fold AWQ's scales into a Llama-shaped model, in one pass; return each α by name.

    A layer's inputs are divided by s as they arrive, so that what follows sees what it
    always saw. ValueError where the model has no such blocks, and as `visit_layers`.
    """
    alphas: dict[str, float] = {}
    found = feeds(model)
    check_feeds(model, found)
    first = {next(iter(feed.readers)): feed for feed in found}
    readers = {name: layer for feed in found for name, layer in feed.readers.items()}
    head = head_dim(model.config)
    scaled = torch.empty(0)  # what the feed's other readers get in place of x

    def visit(arrival: Arrival) -> Tensor:
        nonlocal scaled
        if feed := first.get(arrival.name):
            s, alphas[arrival.name] = _fold(arrival.x, feed, head, settings)
            scaled = (arrival.x / s).to(arrival.x)
        return scaled

    visit_layers(model, readers, windows, visit, label="scaling")
    return alphas


def _fold(
    x: Float[Tensor, "... cols"], feed: Feed, head: int, settings: AWQ
) -> tuple[Float[Tensor, " cols"], float]:
    """Find s for the layers that read `x`; multiply them, and divide their source."""
    inputs = Hessian(x.shape[-1])
    inputs.add(x)
    w = torch.cat([reader.weight for reader in feed.readers.values()])
    made = feed.source.weight.shape[0]  # fewer where query heads share a value
    shared = x.shape[-1] // made
    copies = inputs.magnitude.view(-1, shared, head if shared > 1 else made)
    magnitude = copies.mean(1, keepdim=True).expand_as(copies).flatten()
    s, alpha = awq_scales(
        w, inputs.matrix, magnitude, settings, exponents=settings.exponents
    )
    _divide(feed, s.view_as(copies)[:, 0].flatten(), s)
    return s, alpha
