"""A model with parts cut out, before any retraining: which parts, and by which score.

    python -m lib.bench structured            # SmolLM2, half an hour of a core
    python -m lib.bench structured_teacher    # the course's teacher, two minutes

Perplexity of *Hamlet*'s first windows with layers, neurons, heads or channels of the
stream gone, each kind by its score, by another that looks as good, and at random;
neurons also with `down_proj` refitted toward the weights as they were. Scores, moments
and the perplexity that chooses layers come from several draws of calibration plays.
`equal_size` takes as many weights from every kind. A gate at zero stands in for a cut.

Read in order: `Watched`, `layers`, `neurons`, `heads`, `channels`, `main`.
"""

import argparse
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lib.bench.record import Run, processor_name, record
from lib.data.text import calibration_windows
from lib.models.evaluate import EvaluationProtocol, perplexity
from lib.models.hooks import stream_inputs
from lib.models.load import load_model
from lib.models.structure.gates import (
    gated,
    head_gradients,
    watch_channels,
    watch_structure,
)
from lib.models.structure.surgery import drop_layers, keep_channels
from lib.models.walk import mapped_weights
from lib.progress import progress
from lib.prune.structured.heads import head_importance
from lib.prune.structured.importance import gates_of, kept_in_groups, kept_of
from lib.prune.structured.refit import refit_columns
from lib.quant.hessian import Hessian

CALIBRATION, WINDOW = 8, 512  # for importance, influence and moments
GRADIENTS = 6, 256  # windows and their tokens: as many steps backwards
DRAWS = (0, 1, 2)  # of the calibration windows
SEARCH = 1, 256  # to measure the loss of each layer alone
LAYERS = (1, 2, 3, 5, 8, 10)
SHARES, SEEDS = (0.1, 0.2, 0.3, 0.4, 0.5), (0, 1)  # of what goes; at random
REFIT: dict[str, Any] = {"damping": 1.0, "toward": "weights"}  # of down_proj
EQUAL = (10, 5)  # one layer of so many, whose size every other kind gives up too

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Watched:
    """All that one draw of calibration windows says of the whole model."""

    neurons: Tensor  # (layers, neurons), Minitron's importance
    influence: Tensor  # (layers), block influence
    gradients: Tensor  # (windows, layers, heads)
    moments: dict[str, Hessian]  # of what every down_proj reads

    @classmethod
    def of(cls, model: PreTrainedModel, windows: Tensor) -> "Watched":
        """Watch the model three times: forwards, backwards, and for H."""
        neurons, influence = watch_structure(model, windows)
        size = model.config.intermediate_size
        moments = {name: Hessian(size) for name in readers(model)}
        stream_inputs(model, windows, {n: m.add for n, m in moments.items()})
        return cls(
            torch.stack([layer.score for layer in neurons]),
            torch.tensor([layer.score for layer in influence]),
            head_gradients(model, part(windows, GRADIENTS)),
            moments,
        )


def part(windows: Tensor, size: tuple[int, int]) -> Tensor:
    """The first tokens of the first windows."""
    return windows[: size[0], : size[1]]


def readers(model: PreTrainedModel) -> list[str]:
    """The names of all down_proj, which read the neurons."""
    return [f"model.layers.{i}.mlp.down_proj" for i in range(len(model.model.layers))]


def gone_by(influence: Tensor, gone: int) -> list[int]:
    """The layers of least score."""
    count = len(influence)
    return sorted(set(range(count)) - set(kept_of(influence, count - gone).tolist()))


def losses_alone(model: PreTrainedModel, windows: Tensor) -> Tensor:
    """Perplexity with each layer gone, by itself."""
    every = range(len(model.model.layers))
    return torch.tensor([without(model, windows, [i]) for i in every])


def without(model: PreTrainedModel, windows: Tensor, which: Sequence[int]) -> float:
    """Perplexity with these layers gone."""
    cut = copy.deepcopy(model)
    drop_layers(cut, which)
    return perplexity(cut, windows)


def layers(
    model: PreTrainedModel, windows: Tensor, scores: dict[str, Tensor]
) -> Iterator[Row]:
    """The blocks of least score, and as many in a row before the last two."""
    count = len(model.model.layers)
    for gone in (gone for gone in LAYERS if gone < count - 2):
        ways = {way: gone_by(score, gone) for way, score in scores.items()}
        ways["neighbours before the last two"] = [*range(count - 2 - gone, count - 2)]
        for way, which in ways.items():
            found = without(model, windows, which)
            yield {"way": way, "layers": which, "perplexity": found}


def gates_without(scores: Tensor, share: float) -> Tensor:
    """0 for this share of each layer, the least by its own scores; 1 for what stays."""
    count = scores.shape[1]
    return gates_of(scores, count - int(share * count))


def at_random(like: Tensor, seed: int) -> Tensor:
    """Scores of no meaning."""
    return torch.rand(like.shape, generator=torch.Generator().manual_seed(seed))


def narrowed(
    model: PreTrainedModel,
    windows: Tensor,
    gates: Tensor,
    moments: dict | None = None,
    **settings: Any,
) -> float:
    """Perplexity with neurons gone, `down_proj` refitted where moments are given."""
    if moments is None:
        with gated(model, neurons=gates):
            return perplexity(model, windows)
    names = list(moments)

    def refitted(name: str, w: Tensor) -> Tensor:
        kept = gates[names.index(name)].nonzero().flatten()
        fitted = refit_columns(w, kept, moments[name].matrix, **settings)
        return torch.zeros_like(w).index_copy(1, kept, fitted)

    with mapped_weights(model, refitted, names):
        return perplexity(model, windows)


def neurons(model: PreTrainedModel, windows: Tensor, watched: Watched) -> Iterator[Row]:
    """As many neurons of every layer, by importance, refitted, and at random."""
    weights = [model.get_submodule(name).weight for name in readers(model)]
    columns = torch.stack([w.norm(dim=0).double() for w in weights])
    scores = watched.neurons
    ways = {
        "importance": scores,
        "importance times the column of down_proj": scores * columns,
    } | {f"random, seed {seed}": at_random(scores, seed) for seed in SEEDS}
    for share in SHARES:
        for way, values in ways.items():
            gates, row = gates_without(values, share), {"way": way, "share": share}
            found = narrowed(model, windows, gates)
            yield row | {"refit": False, "perplexity": found}
            if way == "importance" or way.endswith("seed 0"):
                found = narrowed(model, windows, gates, watched.moments, **REFIT)
                yield row | {"refit": True, "perplexity": found}


def heads(model: PreTrainedModel, windows: Tensor, gradients: Tensor) -> Iterator[Row]:
    """The heads of least importance in the whole model, and at random.

    Then as many of every group that shares keys, which a smaller configuration can say.
    """
    importance = head_importance(gradients)
    chance = {f"random, seed {seed}": at_random(importance, seed) for seed in SEEDS}
    ways = {
        "gradient": importance,
        "gradient, per layer": head_importance(gradients, per_layer=True),
    } | chance
    for share in SHARES:
        for way, values in ways.items():
            gates = gates_without(values.flatten()[None], share).view_as(values)
            with gated(model, heads=gates):
                found = perplexity(model, windows)
            yield {"way": way, "share": share, "perplexity": found}
    groups = model.config.num_key_value_heads
    each = importance.shape[1] // groups
    for way, values in ({"gradient": importance} | chance).items():
        gates = torch.zeros(values.shape)
        for row, score in zip(gates, values, strict=True):
            row[kept_in_groups(score, groups, each - 1)] = 1
        with gated(model, heads=gates):
            found = perplexity(model, windows)
        row = {"way": f"{way}, one of each group", "share": 1 / each}
        yield row | {"perplexity": found}


def blocks_given_up(model: PreTrainedModel) -> list[int]:
    """A tenth and a fifth of the layers, and at least one."""
    return sorted({max(1, len(model.model.layers) // part) for part in EQUAL})


def channels(model: PreTrainedModel, windows: Tensor, score: Tensor) -> Iterator[Row]:
    """Channels of the stream, cut from every matrix, both embeddings and all norms."""
    ways = {"importance": score}
    ways |= {f"random, seed {seed}": at_random(score, seed) for seed in SEEDS}
    for gone in blocks_given_up(model):
        share = gone / len(model.model.layers)
        for way, values in ways.items():
            cut = copy.deepcopy(model)
            keep_channels(cut, kept_of(values, len(score) - int(share * len(score))))
            found = perplexity(cut, windows)
            yield {"way": way, "share": share, "perplexity": found}


def equal_size(
    model: PreTrainedModel, windows: Tensor, watched: Watched
) -> Iterator[Row]:
    """As many weights as so many blocks have, from the MLPs' neurons or in layers."""
    block = model.model.layers[0]
    size = sum(w.numel() for w in block.parameters())
    mlp = sum(w.numel() for w in block.mlp.parameters())
    for gone in blocks_given_up(model):
        row = {"blocks": gone, "weights": gone * size}
        found = without(model, windows, gone_by(watched.influence, gone))
        yield row | {"way": "layers, by block influence", "perplexity": found}
        share = gone * size / (len(watched.neurons) * mlp)
        gates = gates_without(watched.neurons, share)
        for way, moments in (("", None), (", refitted", watched.moments)):
            found = narrowed(model, windows, gates, moments, **REFIT)
            yield row | {"way": f"neurons{way}", "perplexity": found}


def drawn(model: PreTrainedModel, windows: Tensor, watched: Watched) -> Iterator[Row]:
    """One setting of each kind, by what one draw of calibration windows says."""
    count = len(model.model.layers)
    for gone in sorted({max(1, count // 10), count // 6}):
        which = gone_by(watched.influence, gone)
        found = without(model, windows, which)
        yield {"way": f"{gone} layers", "layers": which, "perplexity": found}
    gates = gates_without(watched.neurons, 0.3)
    for way, moments in (("neurons", None), ("neurons, refitted", watched.moments)):
        found = narrowed(model, windows, gates, moments, **REFIT)
        yield {"way": way, "share": 0.3, "perplexity": found}
    found = head_importance(watched.gradients)
    gates = gates_without(found.flatten()[None], 0.2).view_as(found)
    with gated(model, heads=gates):
        found = perplexity(model, windows)
    yield {"way": "heads", "share": 0.2, "perplexity": found}


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How much of *Hamlet*."""
    parser.add_argument("--windows", type=int, default=4)


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Watch the model by every draw, cut it in every way, and record each kind."""
    which = "teacher" if name == "structured_teacher" else "smollm2"
    model, tokenizer = load_model(which)
    windows = EvaluationProtocol().windows(tokenizer)[: options.windows]
    how = (
        f"{which}, float32, no retraining; perplexity of {len(windows)} windows of "
        f"Hamlet; scores from {CALIBRATION} calibration windows of {WINDOW}, gradients "
        f"from {GRADIENTS[0]} of {GRADIENTS[1]}, each layer's loss from {SEARCH[0]} "
        f"of {SEARCH[1]}; refits with damping {REFIT['damping']:g} toward the weights"
    )
    results: dict[str, Any] = {"whole": perplexity(model, windows)}

    def keep(kind: str, found: Any) -> None:
        results[kind] = found
        record(run, results, protocol=how, device=processor_name())

    def draw(seed: int) -> Tensor:
        drawing = {"count": CALIBRATION, "window": WINDOW, "seed": seed}
        return calibration_windows(tokenizer, **drawing)

    first = draw(DRAWS[0])
    watched, stream = Watched.of(model, first), watch_channels(model, first[:2]).score
    alone = losses_alone(model, part(first, SEARCH))
    keep("alone", {"influence": watched.influence.tolist(), "loss": alone.tolist()})
    scores = {"block influence": watched.influence, "perplexity alone": alone}
    keep("layers", list(progress(layers(model, windows, scores), "layers")))
    keep("neurons", list(progress(neurons(model, windows, watched), "neurons")))
    keep("heads", list(progress(heads(model, windows, watched.gradients), "heads")))
    equal = equal_size(model, windows, watched)
    keep("equal_size", list(progress(equal, "equal size")))
    rows: list[Row] = []
    for seed in DRAWS:
        watched = watched if seed == DRAWS[0] else Watched.of(model, draw(seed))
        found = list(progress(drawn(model, windows, watched), "draw"))
        rows += [{"draw": seed} | row for row in found]
        keep("draws", rows)
    keep("channels", list(progress(channels(model, windows, stream), "channels")))
    return True
