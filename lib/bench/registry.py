# long: one table, and an entry of it says nothing without the rest
"""Every benchmark: what it measures, what it needs, and which file it writes.

    python -m lib.bench                    # this list
    python -m lib.bench int4 --tokens 1    # one of them, with options of its own

A benchmark's module has `add_options(parser, name)` and `main(run, name, options)`: it
records what it measures by `run`, and says whether everything worked. It is imported
when it is asked for, and not for a list. To add one, write the module and name it in
`BENCHMARKS`; a kernel's is a module of `lib.bench.kernels`, whose `table` runs it.

Read in order: `Benchmark`, `BENCHMARKS`, `parse`, `main`, `step`.
"""

import argparse
import importlib
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import torch

from lib.bench.record import RESULTS, SEED, Run

PROGRAM = "python -m lib.bench"
KERNELS = "kernels"  # a word that runs every kernel's benchmark, in turn
KERNEL_TABLE = "lib.bench.kernels.table"


@dataclass(frozen=True)
class Benchmark:
    """One measurement.

    What needs a GPU runs without one too, smaller, into `results`_cpu.json: that proves
    nothing but that it runs.
    """

    name: str
    module: str
    summary: str
    needs: str  # "GPU" or "CPU", which suffices
    results: str  # the name of its file, without .json

    def load(self) -> ModuleType:
        """Import the module."""
        return importlib.import_module(self.module)

    def file(self) -> str:
        """The name of the file that a run on this machine writes, without .json."""
        trial = self.needs == "GPU" and not torch.cuda.is_available()
        return f"{self.results}_cpu" if trial else self.results


def _kernel(name: str, summary: str) -> Benchmark:
    """A kernel's benchmark: rows from lib.bench.kernels.NAME, in one table."""
    return Benchmark(name, KERNEL_TABLE, summary, "GPU", name)


def _pruning(name: str, module: str, summary: str) -> Benchmark:
    """A benchmark of lectures 11 and 12."""
    return Benchmark(name, f"lib.bench.pruning.{module}", summary, "CPU", name)


def _precision(name: str, module: str, summary: str, needs: str) -> Benchmark:
    """A benchmark of lecture 09."""
    return Benchmark(name, f"lib.bench.precision.{module}", summary, needs, name)


def _aware(name: str, needs: str, summary: str) -> Benchmark:
    """A benchmark of lecture 08."""
    return Benchmark(name, f"lib.bench.aware.{name}", summary, needs, name)


def _rotations(name: str, module: str, summary: str) -> Benchmark:
    """A benchmark of lecture 07."""
    return Benchmark(name, f"lib.bench.rotations.{module}", summary, "CPU", name)


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        _kernel("int4", "4-bit product beside cuBLAS, tinygemm, Marlin and gemlite"),
        _kernel("int8", "LLM.int8() beside bitsandbytes and cuBLAS"),
        _kernel("nf4", "NF4 product beside bitsandbytes and cuBLAS"),
        _kernel("nf4_dequantize", "NF4 back to 16 bits beside bitsandbytes"),
        _kernel("xnor", "product of packed signs beside int8 and fp16"),
        _kernel("cast", "casts to FP8, FP4, MX and NVFP4 beside torch and torchao"),
        _kernel("gptq", "GPTQ and SparseGPT of a layer beside column loops in torch"),
        _kernel("hessian", "GPTQ's Hessian beside addmm"),
        _kernel("wanda", "Wanda's masks and 2:4 compression beside sort and topk"),
        _kernel("two_of_four", "2:4 products beside cuBLAS, cuSPARSELt and our int4"),
        _pruning("lottery", "lottery", "pruning with retraining, on a small net"),
        _pruning("pruning", "unstructured", "perplexity of SmolLM2 by sparsity"),
        _pruning("structured", "structured", "perplexity with whole parts cut out"),
        _pruning("structured_teacher", "structured", "the same of a small model"),
        _pruning("refits", "refits", "what a refit is pulled to, by draw and share"),
        _pruning("cofi", "coarse_fine", "masks learned to a size; halves retrained"),
        Benchmark(
            "minitron",
            "lib.bench.pruning.minitron",
            "a third of SmolLM2 cut by width and depth, and trained on",
            "GPU",
            "minitron",
        ),
        _pruning("retraining", "retraining", "neurons cut, refitted, and trained on"),
        _precision(
            "divergence", "divergence", "how many seeds diverge, by precision", "GPU"
        ),
        _precision(
            "weights", "divergence", "weights in bf16, with or without masters", "CPU"
        ),
        _precision(
            "fp8", "fp8", "FP8 products, and training by them, beside bf16", "GPU"
        ),
        Benchmark(
            "tokens",
            "lib.bench.tokens.table",
            "tokens a second of whole models, in every format",
            "GPU",
            "tokens",
        ),
        Benchmark(
            "decode",
            "lib.bench.decode.table",
            "tokens a second of the engine's graph, one text and many",
            "GPU",
            "decode",
        ),
        Benchmark(
            "company",
            "lib.bench.decode.company",
            "the 4-bit product alone, and between ordinary kernels",
            "GPU",
            "company",
        ),
        Benchmark(
            "qlora_step",
            "lib.bench.qlora_step",
            "a QLoRA step of a 7B shape beside peft and bitsandbytes",
            "GPU",
            "qlora_step",
        ),
        Benchmark(
            "codebooks",
            "lib.bench.codebooks",
            "perplexity against bits: even grids, NormalFloat, FP4, k-means",
            "CPU",
            "codebooks",
        ),
        Benchmark(
            "distillation",
            "lib.bench.distilling.soft",
            "students of a 6-gram: targets, temperatures, texts, ensembles",
            "CPU",
            "distillation",
        ),
        Benchmark(
            "distillation_halves",
            "lib.bench.distilling.halves",
            "half of the course's teacher: DistilBERT's start and its losses",
            "CPU",
            "distillation_halves",
        ),
        Benchmark(
            "distillation_halves_long",
            "lib.bench.distilling.halves",
            "the same with fifteen times the steps",
            "GPU",
            "distillation_halves_long",
        ),
        Benchmark(
            "distillation_traces",
            "lib.bench.distilling.traces",
            "sums: the answer alone, rationales as a second task, traces",
            "CPU",
            "distillation_traces",
        ),
        Benchmark(
            "distillation_loss",
            "lib.bench.distilling.large_vocabulary",
            "the loss of 128,256 tokens: time and memory beside Liger",
            "GPU",
            "distillation_loss",
        ),
        Benchmark(
            "self_instruct",
            "lib.bench.distilling.self_instruct",
            "SmolLM2 writes exercises and answers; students of them, judged",
            "GPU",
            "self_instruct",
        ),
        Benchmark(
            "policies",
            "lib.bench.distilling.policies",
            "word level, sequence level and on-policy from one start",
            "GPU",
            "policies",
        ),
        Benchmark(
            "draft",
            "lib.bench.drafts.course",
            "what SmolLM2 accepts of the course's draft, and what passes cost",
            "CPU",
            "draft",
        ),
        Benchmark(
            "gptq_speed",
            "lib.bench.gptq_speed",
            "GPTQ's time beside the column loop's, on SmolLM2's layers",
            "CPU",
            "gptq_speed",
        ),
        Benchmark(
            "kv_cache",
            "lib.bench.serving.kv_cache",
            "perplexity against bits of the key-value cache, by channel and by token",
            "CPU",
            "kv_cache",
        ),
        Benchmark(
            "engine_steps",
            "lib.bench.serving.steps",
            "seconds of the decoding engine's passes, on one thread",
            "CPU",
            "engine_steps",
        ),
        Benchmark(
            "linear_perplexity",
            "lib.bench.linear_perplexity",
            "perplexity of round-to-nearest, and of int8 activations",
            "CPU",
            "linear_perplexity",
        ),
        Benchmark(
            "codebook_starts",
            "lib.bench.roundings.starts",
            "k-means of rows at 4 bits, from quantiles and from even levels",
            "CPU",
            "codebook_starts",
        ),
        Benchmark(
            "clipping",
            "lib.bench.roundings.clipping",
            "where clipping for the least squared error of weights hurts",
            "CPU",
            "clipping",
        ),
        Benchmark(
            "salient",
            "lib.bench.roundings.salient",
            "which one per cent of the columns to keep, as in AWQ's first table",
            "CPU",
            "salient",
        ),
        Benchmark(
            "sentences",
            "lib.bench.roundings.sentences",
            "what few bits sound like: a sentence a bit width",
            "CPU",
            "sentences",
        ),
        Benchmark(
            "ptq_perplexity",
            "lib.bench.ptq",
            "perplexity against bits of every post-training method",
            "CPU",
            "ptq_perplexity",
        ),
        Benchmark(
            "ptq_vectors",
            "lib.bench.ptq",
            "perplexity at 2, 3 and 4 bits: QuIP#, its parts, and GPTQ",
            "CPU",
            "ptq_vectors",
        ),
        Benchmark(
            "ptq_best",
            "lib.bench.ptq",
            "the same of GPTQ's best settings, beside what they beat",
            "CPU",
            "ptq_best",
        ),
        Benchmark(
            "answers",
            "lib.bench.serving.answers",
            "requests answered on a CPU: the engine beside transformers",
            "CPU",
            "answers",
        ),
        Benchmark(
            "speculative",
            "lib.bench.drafts.acceptance",
            "tokens a target pass and acceptance of every draft, on three texts",
            "CPU",
            "speculative",
        ),
        Benchmark(
            "speculative_power",
            "lib.bench.drafts.power",
            "which mistakes in speculative sampling a χ² test sees, and when",
            "CPU",
            "speculative_power",
        ),
        Benchmark(
            "speculative_spans",
            "lib.bench.drafts.spans",
            "what a pass over several tokens costs a processor",
            "CPU",
            "speculative_spans",
        ),
        Benchmark(
            "speculative_assisted",
            "lib.bench.drafts.assisted",
            "passes and processor seconds beside transformers' assisted generation",
            "CPU",
            "speculative_assisted",
        ),
        Benchmark(
            "ladder",
            "lib.bench.vectors.ladder",
            "what each code leaves of N(0, 1) at 1 to 4 bits, beside D(R)",
            "CPU",
            "ladder",
        ),
        Benchmark(
            "two_bits",
            "lib.bench.vectors.two_bits",
            "SmolLM2 at 2 bits: GPTQ, E8P, trellis, additive; tuned and not",
            "CPU",
            "two_bits",
        ),
        _rotations("rotations", "table", "perplexity in few bits, rotated or not"),
        _rotations("rotations_learned", "learned", "rotations by SpinQuant's descent"),
        _rotations("rotations_why", "why", "why rotated weights fail when rounded"),
        _aware("data_free", "CPU", "a model in few bits, trained on text of its own"),
        _aware("characters_aware", "CPU", "few bits trained, over seeds"),
        _aware("binary", "CPU", "training curves of a binarized net"),
        Benchmark(
            "qlora",
            "lib.bench.qlora",
            "fine-tuning over BFloat16, FP4, NF4 and double quantization",
            "CPU",
            "qlora",
        ),
        Benchmark(
            "qlora_long",
            "lib.bench.qlora",
            "the same over all of the text, many times: what it learns and forgets",
            "GPU",
            "qlora_long",
        ),
    )
}


def parse(words: Sequence[str]) -> tuple[Benchmark, argparse.Namespace, str]:
    """The benchmark that `words` name, its options, and the command to record.

    The command leaves out --out: it says what was measured, not where that was put.
    Raises ValueError for a name that is in no entry, and SystemExit as argparse does.
    """
    name = words[0]
    if name not in BENCHMARKS:
        known = ", ".join((*BENCHMARKS, KERNELS))
        raise ValueError(f"no benchmark {name!r}; there are: {known}")
    benchmark = BENCHMARKS[name]
    shared = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    shared.add_argument("--out", type=Path, default=RESULTS, help="another folder")
    rest = shared.parse_known_args(words[1:])[1]
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} {name}",
        description=f"{benchmark.summary}; writes {benchmark.results}.json",
        parents=[shared],
        allow_abbrev=False,
    )
    parser.add_argument("--commit", help="of this code, where git does not know it")
    benchmark.load().add_options(parser, name)
    command = f"{PROGRAM} {shlex.join([name, *rest])}"
    return benchmark, parser.parse_args(words[1:]), command


def main(words: Sequence[str]) -> int:
    """List the benchmarks, or run one: 0 if all worked, 1 if not, 2 if refused.

    Every command is checked, and the tree with it, before the first one measures. Tiles
    are tuned in any tree, for that records nothing: commit them, then measure.
    """
    if not words or words[0] in ("-h", "--help"):
        print(listing())
        return 0
    names = kernels() if words[0] == KERNELS else [words[0]]
    worked = True
    try:
        steps = [step(*parse([name, *words[1:]])) for name in names]
    except ValueError as problem:
        print(f"{PROGRAM}: {problem}", file=sys.stderr)
        return 2
    for each in steps:
        torch.manual_seed(SEED)
        try:
            worked &= each()
        except Exception:  # one benchmark's failure is its own
            traceback.print_exc()
            worked = False
    return 0 if worked else 1


def step(
    benchmark: Benchmark, options: argparse.Namespace, command: str
) -> Callable[[], bool]:
    """What is to be called: a measurement that may be recorded, or --tune.

    Raises ValueError where a measurement may not be recorded, and for --tune without a
    GPU.
    """
    module = benchmark.load()
    if getattr(options, "tune", False):
        if not torch.cuda.is_available():
            raise ValueError("--tune chooses tiles for a GPU, and there is none")
        return partial(module.tune, benchmark.name, options)
    run = Run.from_checkout(
        benchmark.file(), command, commit=options.commit, folder=options.out
    )
    return partial(module.main, run, benchmark.name, options)


def kernels() -> list[str]:
    """The names of the kernels' benchmarks."""
    return [name for name, one in BENCHMARKS.items() if one.module == KERNEL_TABLE]


def listing() -> str:
    """A line for each benchmark: its name, what it needs, what it measures."""
    lines = [f"{b.name:18} {b.needs}  {b.summary}" for b in BENCHMARKS.values()]
    usage = f"{PROGRAM} NAME [--help] [--out FOLDER] [options]"
    lines.append(f"{KERNELS:18} GPU  every kernel above, in turn")
    return "\n".join([usage, "", *lines])
