"""Every benchmark: what it measures, what it needs, and which file it writes.

    python -m lib.bench                    # this list
    python -m lib.bench int4 --tokens 1    # one of them, with options of its own

A benchmark's module has `add_options(parser, name)` and `main(run, name, options)`: it
records what it measures by `run`, and says whether everything worked. It is imported
when it is asked for, and not for a list. To add one, write the module and name it in
`ON_GPU` or `ON_CPU`; a kernel's is a module of `lib.bench.kernels`, whose `table` runs
it.

Read in order: `Benchmark`, `ON_GPU`, `ON_CPU`, `BENCHMARKS`, `parse`, `main`, `step`.
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

    @property
    def results(self) -> str:
        """The name of its file, without .json."""
        return self.name

    def load(self) -> ModuleType:
        """Import the module."""
        return importlib.import_module(self.module)

    def file(self) -> str:
        """The name of the file that a run on this machine writes, without .json."""
        trial = self.needs == "GPU" and not torch.cuda.is_available()
        return f"{self.results}_cpu" if trial else self.results


ON_GPU = {  # module: {name: what it measures}
    "kernels.table": {
        "int4": "4-bit product beside cuBLAS, tinygemm, Marlin and gemlite",
        "int8": "LLM.int8() beside bitsandbytes and cuBLAS",
        "nf4": "NF4 product beside bitsandbytes and cuBLAS",
        "nf4_dequantize": "NF4 back to 16 bits beside bitsandbytes",
        "xnor": "product of packed signs beside int8 and fp16",
        "cast": "casts to FP8, FP4, MX and NVFP4 beside torch and torchao",
        "gptq": "GPTQ and SparseGPT of a layer beside column loops in torch",
        "hessian": "GPTQ's Hessian beside addmm",
        "wanda": "Wanda's masks and 2:4 compression beside sort and topk",
        "two_of_four": "2:4 products beside cuBLAS, cuSPARSELt and our int4",
    },
    "pruning.minitron": {
        "minitron": "a third of SmolLM2 cut by width and depth, and trained on"
    },
    "precision.divergence": {"divergence": "how many seeds diverge, by precision"},
    "precision.fp8": {"fp8": "FP8 products, and training by them, beside bf16"},
    "tokens.table": {"tokens": "tokens a second of whole models, in every format"},
    "decode.table": {
        "decode": "tokens a second of the engine's graph, one text and many"
    },
    "decode.company": {
        "company": "the 4-bit product alone, and between ordinary kernels"
    },
    "qlora_step": {
        "qlora_step": "a QLoRA step of a 7B shape beside peft and bitsandbytes"
    },
    "distilling.halves": {
        "distillation_halves_long": "the same with fifteen times the steps"
    },
    "distilling.large_vocabulary": {
        "distillation_loss": "the loss of 128,256 tokens: time and memory beside Liger"
    },
    "distilling.self_instruct": {
        "self_instruct": "SmolLM2 writes exercises and answers; its students, judged"
    },
    "distilling.policies": {
        "policies": "word level, sequence level and on-policy from one start"
    },
    "qlora": {
        "qlora_long": "the same over all of the text: what is learned and forgotten"
    },
}
ON_CPU = {  # module: {name: what it measures}
    "pruning.lottery": {"lottery": "pruning with retraining, on a small net"},
    "pruning.unstructured": {"pruning": "perplexity of SmolLM2 by sparsity"},
    "pruning.structured": {
        "structured": "perplexity with whole parts cut out",
        "structured_teacher": "the same of a small model",
    },
    "pruning.refits": {"refits": "what a refit is pulled to, by draw and share"},
    "pruning.coarse_fine": {"cofi": "masks learned to a size; halves retrained"},
    "pruning.retraining": {"retraining": "neurons cut, refitted, and trained on"},
    "precision.divergence": {"weights": "weights in bf16, with or without masters"},
    "codebooks": {
        "codebooks": "perplexity by bits: even grids, NormalFloat, FP4, k-means"
    },
    "distilling.soft": {
        "distillation": "students of a 6-gram: targets, temperatures, ensembles"
    },
    "distilling.halves": {
        "distillation_halves": "half of the course's teacher: its start and its losses"
    },
    "distilling.traces": {
        "distillation_traces": "sums: the answer alone, rationales beside it, traces"
    },
    "drafts.course": {
        "draft": "what SmolLM2 accepts of the course's draft, what passes cost"
    },
    "gptq_speed": {
        "gptq_speed": "GPTQ's time beside the column loop's, on SmolLM2's layers"
    },
    "serving.kv_cache": {
        "kv_cache": "perplexity against bits of the cache, by channel and by token"
    },
    "serving.steps": {
        "engine_steps": "seconds of the decoding engine's passes, on one thread"
    },
    "linear_perplexity": {
        "linear_perplexity": "perplexity of round-to-nearest, and of int8 activations"
    },
    "roundings.starts": {
        "codebook_starts": "k-means of rows, from quantiles and from even levels"
    },
    "roundings.clipping": {
        "clipping": "where clipping for the least squared error of weights hurts"
    },
    "roundings.salient": {
        "salient": "which one per cent of the columns to keep, as AWQ asks first"
    },
    "roundings.sentences": {
        "sentences": "what few bits sound like: a sentence a bit width"
    },
    "ptq": {
        "ptq_perplexity": "perplexity against bits of every post-training method",
        "ptq_vectors": "perplexity at 2, 3 and 4 bits: QuIP#, its parts, and GPTQ",
        "ptq_best": "the same of GPTQ's best settings, beside what they beat",
    },
    "serving.answers": {
        "answers": "requests answered on a CPU: the engine beside transformers"
    },
    "drafts.acceptance": {
        "speculative": "tokens a target pass and acceptance, by draft and text"
    },
    "drafts.power": {
        "speculative_power": "which slips in speculative sampling a χ² test sees"
    },
    "drafts.spans": {
        "speculative_spans": "what a pass over several tokens costs a processor"
    },
    "drafts.assisted": {
        "speculative_assisted": "passes and seconds beside assisted generation"
    },
    "vectors.ladder": {
        "ladder": "what each code leaves of N(0, 1) at 1 to 4 bits, beside D(R)"
    },
    "vectors.two_bits": {
        "two_bits": "SmolLM2 at 2 bits: GPTQ, E8P, trellis, additive; tuned or not"
    },
    "rotations.table": {"rotations": "perplexity in few bits, rotated or not"},
    "rotations.learned": {"rotations_learned": "rotations by SpinQuant's descent"},
    "rotations.why": {"rotations_why": "why rotated weights fail when rounded"},
    "aware.data_free": {"data_free": "a model in few bits, trained on text of its own"},
    "aware.characters_aware": {"characters_aware": "few bits trained, over seeds"},
    "aware.binary": {"binary": "training curves of a binarized net"},
    "qlora": {"qlora": "fine-tuning over BFloat16, FP4, NF4 and double quantization"},
}
BENCHMARKS = {
    name: Benchmark(name, f"lib.bench.{module}", summary, needs)
    for needs, table in (("GPU", ON_GPU), ("CPU", ON_CPU))
    for module, rows in table.items()
    for name, summary in rows.items()
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
