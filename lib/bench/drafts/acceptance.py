"""Tokens a target pass and acceptance of every draft, on three kinds of text.

    python -m lib.bench speculative            # some minutes on one core
    python -m lib.bench speculative --draft FOLDER    # another model than the course's

SmolLM2 writes, from prompts that no draft was trained on: greedily, and sampled at
temperature 1. Then each draft reads what was written, once; replay.py tells what every
draft length would have done.

Loops flatter drafts, so that everything is counted twice: over all tokens, and over
those before a text first repeats eight of its tokens. The engine itself runs a few of
the rows, and must agree. Taught in notebooks/15.
Read in order: replay.py; `written`, `leaving`, `readers`, `measure`.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lib.bench.drafts.replay import (
    Guesser,
    Text,
    counted,
    guesses,
    looked_up,
    replay,
)
from lib.bench.record import Run, processor_name, record
from lib.data.text import calibration_windows
from lib.decode.batching import Engine, generate
from lib.decode.cache import ContiguousCache, Shape
from lib.decode.drafts import LookUp, ModelDraft, fit_bridge
from lib.decode.llama import Llama
from lib.decode.requests import Request
from lib.decode.sampling import Sampling
from lib.distill.acceptance import loop_start
from lib.distill.corpus import DOMAINS as KINDS
from lib.distill.corpus import held_out_prompts
from lib.models.load import load_model
from lib.models.walk import mapped_weights
from lib.progress import progress
from lib.quant import fake_quantize

NEW, SAMPLED, GROUP = 128, 64, 64
BITS, EXITS, CALIBRATION = (4, 3), (12, 24), 5  # windows of 512
ONCE = Sampling(temperature=1.0)
Reader = Callable[[Tensor, int], dict[str, Tensor]]  # ids, how many rows to skip


def engine_of(model: PreTrainedModel, **how: Any) -> Engine:
    """An engine with a contiguous cache."""
    return Engine(Llama(model), ContiguousCache(Shape.of(model)), **how)


def written(
    model: PreTrainedModel, prompts: dict[str, list[list[int]]], end: int
) -> tuple[dict[str, list[Text]], dict[str, list[Text]]]:
    """What the target writes greedily, and sampled, by kind; all texts at once."""
    flat = [(kind, prompt) for kind in KINDS for prompt in prompts[kind]]
    ways = ((Sampling(), NEW), (ONCE, SAMPLED))
    requests = [
        Request(tuple(prompt), new, sampling, seed=seed, stop=frozenset({end}))
        for sampling, new in ways
        for seed, (_, prompt) in enumerate(flat)
    ]
    answers = generate(engine_of(model, batch=len(requests)), requests)
    found: tuple[dict[str, list[Text]], dict[str, list[Text]]] = ({}, {})
    for place, answer in enumerate(answers):
        way, (kind, prompt) = found[place // len(flat)], flat[place % len(flat)]
        way.setdefault(kind, []).append((prompt, answer))
    return found


def leaving(model: PreTrainedModel, bridges: dict[int, Tensor]) -> Reader:
    """Read by the whole model, and by each of its exits, with a ridge map and without.

    What block `depth` reads is the hidden state that transformers lists under it.
    """

    def read(ids: Tensor, skip: int) -> dict[str, Tensor]:
        out = model.model(ids[None], output_hidden_states=True)
        states = {"the target": out.last_hidden_state[0, skip:]}
        for depth, bridge in bridges.items():
            h = out.hidden_states[depth][0, skip:]
            mapped = h @ bridge[:-1] + bridge[-1]
            states[f"exit after {depth}"] = model.model.norm(h)
            states[f"exit after {depth}, ridge map"] = model.model.norm(mapped)
        return {name: model.lm_head(state) for name, state in states.items()}

    return read


def readers(
    model: PreTrainedModel, windows: Tensor, drafts: Sequence[str]
) -> Iterator[Reader]:
    """Everybody who reads, the target first; its weights are right while it is used.

    ValueError for a draft with another vocabulary.
    """

    def alone(name: str, by: PreTrainedModel) -> Reader:
        return lambda ids, skip: {name: by(ids[None]).logits[0, skip:]}

    yield leaving(model, {depth: fit_bridge(model, depth, windows) for depth in EXITS})
    for bits in BITS:
        nearest = partial(fake_quantize, bits=bits, group=GROUP)
        with mapped_weights(model, lambda _, w, near=nearest: near(w)):
            yield alone(f"itself in {bits} bits", model)
    for name in drafts:
        other = load_model(name)[0]
        if other.config.vocab_size != model.config.vocab_size:
            raise ValueError(
                f"{name} has {other.config.vocab_size} tokens, "
                f"the target {model.config.vocab_size}"
            )
        yield alone(name.rstrip("/").split("/")[-1], other)


def rows_of(reader: Reader, text: Text) -> dict[str, Tensor]:
    """The logits from which each written token would be chosen, of each reader."""
    prompt, new = text
    return reader(torch.tensor(prompt + new[:-1]), len(prompt) - 1)


def measure(
    model: PreTrainedModel, tokenizer: Any, drafts: Sequence[str], count: int
) -> dict[str, Any]:
    """Every draft on every kind of text, greedy and sampled."""
    end = tokenizer.eos_token_id
    kept: dict[tuple[str, str], list[Guesser]] = {}
    prompts = held_out_prompts(tokenizer, count=count)
    greedy, sampled = written(model, prompts, end)
    loops = {kind: [loop_start(new) for _, new in greedy[kind]] for kind in KINDS}
    result: dict[str, Any] = {
        "texts": {
            kind: {
                "tokens": sum(len(new) for _, new in greedy[kind]),
                "before_loop": sum(loops[kind]),
                "sampled_tokens": sum(len(new) for _, new in sampled[kind]),
                "sampled_before_loop": sum(loop_start(n) for _, n in sampled[kind]),
            }
            for kind in KINDS
        },
        "rows": [],
    }

    def rows(name: str, kind: str, guessers: list[Guesser], overlap: float) -> None:
        all_of = [len(new) for _, new in greedy[kind]]
        kept[name, kind] = guessers
        result["rows"].append(
            {"draft": name, "kind": kind, "overlap": overlap}
            | {"all": counted(guessers, all_of, NEW)}
            | {"before_loop": counted(guessers, loops[kind], NEW)}
        )

    laws: dict[str, list[Tensor]] = {}
    windows = calibration_windows(tokenizer, count=CALIBRATION)
    for reader in readers(model, windows, drafts):
        for kind in progress(KINDS, "reading"):
            right: dict[str, list[Guesser]] = {}
            for text in greedy[kind]:
                for name, logits in rows_of(reader, text).items():
                    same = logits.argmax(-1) == torch.tensor(text[1])
                    right.setdefault(name, []).append(guesses(same.tolist()))
            found: dict[str, list[Tensor]] = {}
            for text in sampled[kind]:
                for name, logits in rows_of(reader, text).items():
                    found.setdefault(name, []).append(logits.softmax(-1))
            laws.setdefault(kind, found.get("the target", []))
            for name, law in found.items():
                pairs = zip(laws[kind], law, strict=True)
                shared = torch.cat([torch.minimum(p, q).sum(-1) for p, q in pairs])
                rows(name, kind, right[name], float(shared.mean()))
    for kind in KINDS:
        guessers = [looked_up(text) for text in greedy[kind]]
        rows("look-up", kind, guessers, looked_overlap(sampled[kind], laws[kind]))
    result["engine"] = confirmed(model, end, greedy, kept)
    return result


def looked_overlap(texts: Sequence[Text], laws: Sequence[Tensor]) -> float:
    """The mean of Σ min(p, q) where q is one looked-up token; 0 where there is none."""
    shares = []
    for (prompt, new), p in zip(texts, laws, strict=True):
        for place in range(len(new)):
            token = LookUp(1).followed(prompt + new[:place], 1)
            shares.append(float(p[place, token[0]]) if token else 0.0)
    return sum(shares) / len(shares)


def confirmed(
    model: PreTrainedModel,
    end: int,
    greedy: dict[str, list[Text]],
    kept: dict[tuple[str, str], list[Guesser]],
) -> list[dict[str, Any]]:
    """The engine itself, with two drafts of 4 on a text a kind, and the replay."""
    found, copy = [], load_model()[0]
    nearest = partial(fake_quantize, bits=4, group=GROUP)
    with mapped_weights(copy, lambda _, w: nearest(w)):
        for name in ("look-up", "itself in 4 bits"):
            for kind in KINDS:
                engine_passes, replayed, same = 0, 0, True
                some = list(zip(greedy[kind], kept[name, kind], strict=True))[:1]
                for (prompt, new), guess in some:
                    draft = LookUp(model.config.vocab_size)
                    by = draft if name == "look-up" else ModelDraft.of(copy)
                    engine = engine_of(model, draft=by, length=4)
                    request = Request(tuple(prompt), NEW, stop=frozenset({end}))
                    same &= generate(engine, [request]) == [new]
                    engine_passes += engine.passes - 1
                    replayed += replay(guess, len(new), 4, NEW)["passes"]
                row = {"draft": name, "kind": kind, "same_text": same}
                found.append(row | {"passes": engine_passes, "replayed": replayed})
    return found


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """How many prompts, and which models draft."""
    parser.add_argument("--prompts", type=int, default=4, help="of each kind")
    parser.add_argument(
        "--draft", action="append", default=[], help="a model as load_model takes it"
    )


@torch.inference_mode()
def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """Measure on the processor, and record."""
    model, tokenizer = load_model()
    results = measure(model, tokenizer, options.draft or ["draft"], options.prompts)
    how = (
        f"{options.prompts} prompts a kind, on which no draft was trained, up to {NEW} "
        f"new tokens, float32; ridge maps of {CALIBRATION} calibration windows of 512; "
        f"round-to-nearest in groups of {GROUP}; `draft` is the course's; `overlap` is "
        f"the mean of Σ min(p, q) on texts of {SAMPLED} tokens sampled at temperature "
        "1, a seed a prompt"
    )
    print(record(run, results, protocol=how, device=processor_name()).name)
    return all(row["same_text"] for row in results["engine"])
