"""Train one of the course's own models: python -m lib.distill.train NAME

    python -m lib.distill.train teacher            # minutes on a GPU, hours on a CPU
    python -m lib.distill.train draft --seconds 300    # stop there; again goes on
    torchrun --nproc-per-node 2 -m lib.distill.train teacher

Weights, tokenizer and card go to lib/models/course/weights/NAME; checkpoints, and what
SmolLM2 wrote, to --work. On a CPU the same weights come out on every run; on a GPU the
deterministic kernels are asked for, and torch warns where there is none.

Read in order: `main`, `save`, `save_draft`, `card`.
"""

import argparse
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import distributed as dist
from transformers import LlamaForCausalLM

from lib.data.text import HELD_OUT
from lib.distill.corpus import HELD_OUT_TOPICS, REPEATED
from lib.distill.recipes import RECIPES, SCHEDULES, Made, Place
from lib.models.course.files import WEIGHTS, draft_model, list_hashes
from lib.models.load import cached_smollm2
from lib.quant.outliers.int8 import quantize_rows


def main(words: list[str]) -> int:
    """Train, save, and write the card; 0 when that was done."""
    parser = argparse.ArgumentParser(prog="python -m lib.distill.train")
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of models")
    parser.add_argument("--work", type=Path, default=Path("build/distill"))
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args(words)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cuda.enable_cudnn_sdp(False)  # its backward pass is not
    torch.utils.deterministic.fill_uninitialized_memory = False  # it is never read
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if "LOCAL_RANK" in os.environ:  # torchrun's
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
        if device == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    made = RECIPES[options.name](Place(options.work, device, options.seconds))
    if not dist.is_initialized() or dist.get_rank() == 0:
        save(options.name, made, options.out, device)
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
    return 0


def save(name: str, made: Made, out: Path, device: str) -> None:
    """Write weights, tokenizer, card and hashes."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    if name == "draft":
        save_draft(made.model, folder / "model.safetensors")
        stored = draft_model(folder, cached_smollm2())
    else:
        stored = made.model.half()
        stored.save_pretrained(folder)
        made.tokenizer.save_pretrained(folder)
    parameters = sum(p.numel() for p in stored.model.layers.parameters())
    where = torch.cuda.get_device_name() if device == "cuda" else "a processor"
    text = card(name, made, parameters, where)
    (folder / "README.md").write_text(text)
    list_hashes(out)
    print(text)


def save_draft(model: LlamaForCausalLM, path: Path) -> None:
    """Write blocks, norm, and the tokens of the head; the embeddings are SmolLM2's."""
    stored = {"tokens": model.lm_head.tokens.int().cpu()}
    for name, tensor in model.model.state_dict().items():
        if name.startswith("embed_tokens"):
            continue
        tensor = tensor.detach().float().cpu()
        if tensor.ndim == 2:
            codes, absmax = quantize_rows(tensor)
            name = name.removesuffix(".weight")
            stored[f"{name}.weight.codes"] = codes
            stored[f"{name}.weight.absmax"] = absmax.contiguous()
        else:
            stored[name] = tensor
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(stored, path)


def card(name: str, made: Made, parameters: int, device: str) -> str:
    """The model's card, in Markdown."""
    schedule, done = SCHEDULES[name], made.progress
    loss = "divergence from SmolLM2" if name == "draft" else "cross-entropy"
    lines = [
        f"# {name}",
        "",
        (RECIPES[name].__doc__ or "").splitlines()[0],
        "",
        f"- Parameters in its blocks: {parameters:,}.",
        f"- Recipe: `python -m lib.distill.train {name}`, in lib/distill/recipes.py; "
        f"{done.step:,} of {schedule.steps:,} steps of "
        f"{schedule.batch} windows out of {made.windows:,}, with "
        f"seed {schedule.seed}; {done.seconds:.0f} s on {device}, "
        f"torch {torch.__version__}.",
        f"- Held out: {', '.join(HELD_OUT)}; the help topics "
        f"{', '.join(HELD_OUT_TOPICS)} of Python {sys.version.split()[0]}; and the "
        "questions of lib/distill/prompts.py. Not trained on either: topics that "
        f"others repeat, {', '.join(REPEATED)}.",
        f"- Loss at its end, over the last steps: {done.losses[-1]:.3f}.",
        "- Licence: MIT for the teacher and the student, as this repository; the draft "
        "is made of blocks of SmolLM2-135M-Instruct and is Apache-2.0. The plays are "
        "in the public domain; Python's documentation is under the PSF's licence.",
        "",
        f"| {loss} | mean, nats a token | spread over windows | bits a character |",
        "|---|---|---|---|",
    ]
    for domain, numbers in made.held_out.items():
        told = [f"{number:.3f}" for number in numbers] + ["–"] * (3 - len(numbers))
        lines.append(f"| {domain} | {' | '.join(told)} |")
    if made.acceptance:
        lines += [
            "",
            "| accepted | greedy | before the loop | sampled | spread over texts |",
            "|---|---|---|---|---|",
        ]
    for domain, shares in made.acceptance.items():
        told = [f"{share:.3f}" for share in shares.values()]
        lines.append(f"| {domain} | {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
