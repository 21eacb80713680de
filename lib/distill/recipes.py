"""How each of the course's own models is made.

    teacher   plays and Python's help, gold labels, from random weights
    student   the same text, the teacher's soft targets, from random weights
    draft     what SmolLM2 writes and both texts, SmolLM2's soft targets, from four of
              its own blocks; embeddings and head are SmolLM2's, and stay

The draft's divergence is taken over the tokens of its head alone: the target's
probabilities are renormalised over them.

Read in order: `Made`, `make_teacher`, `make_student`, `make_draft`; `RECIPES`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from lib.distill import corpus
from lib.distill.acceptance import acceptance, read, target_texts
from lib.distill.chunked import chunked_loss
from lib.distill.intermediate import even_layers, from_layers
from lib.distill.losses import Objective, distillation_loss, next_tokens
from lib.distill.student import Loss, Progress, Schedule, train
from lib.distill.vocabulary import fit_tokenizer
from lib.models.course.frequent_head import FrequentHead
from lib.models.load import load_model

WINDOW, OWN_WINDOW = 512, 256  # of the draft; of teacher and student
KEPT = 8192  # tokens that the draft's head can guess
SCHEDULES = {
    "teacher": Schedule(900, batch=64, rate=2e-3, decay=0.2),
    "student": Schedule(1500, batch=64, rate=3e-3),
    "draft": Schedule(1900, batch=64, rate=1e-3),
}


@dataclass
class Made:
    """A model that was trained, and what its card says of it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    windows: int
    progress: Progress
    held_out: dict[str, list[float]]  # by domain: mean, spread over windows, bits a
    acceptance: dict[str, dict[str, float]] = field(default_factory=dict)  # character


@dataclass(frozen=True)
class Place:
    """Where a run works, and how long it may."""

    work: Path
    device: str
    seconds: float = float("inf")
    schedule: Schedule | None = None

    def train(self, student: nn.Module, loss: Loss, windows: Tensor, name: str):
        """Train, or go on training; then without gradients."""
        schedule = self.schedule or SCHEDULES[name]
        done = train(
            student,
            loss,
            windows.to(self.device),
            schedule,
            folder=self.work / name,
            seconds=self.seconds,
        )
        student.requires_grad_(False)
        return done

    def half(self):
        """Products in bfloat16 where that is fast."""
        return torch.autocast(
            self.device, torch.bfloat16, enabled=self.device == "cuda"
        )


def make_teacher(place: Place) -> Made:
    """Gold labels on plays and Python's help, with a vocabulary of its own."""
    tokenizer = fit_tokenizer("\n\n".join(corpus.training_text().values()))
    model = llama(width=256, layers=6, heads=8, mlp=704).to(place.device)

    def loss(student: nn.Module, ids: Tensor) -> Tensor:
        with place.half():
            logits = student(input_ids=ids, use_cache=False).logits
        labels = next_tokens(ids)
        return cross_entropy(logits.float().flatten(0, 1), labels.flatten())

    return own(place, "teacher", model, tokenizer, loss)


def make_student(place: Place) -> Made:
    """The teacher's soft targets, and half as much of gold, on the same text."""
    teacher, tokenizer = load_model("teacher")
    teacher = teacher.to(place.device)
    model = llama(width=128, layers=3, heads=4, mlp=352).to(place.device)
    objective = Objective(kd=1.0, ce=0.5)

    def loss(student: nn.Module, ids: Tensor) -> Tensor:
        with place.half():
            with torch.no_grad():
                known = teacher(input_ids=ids, use_cache=False).logits
            logits = student(input_ids=ids, use_cache=False).logits
        return distillation_loss(logits, known, next_tokens(ids), objective)

    made = own(place, "student", model, tokenizer, loss)
    prompts = corpus.windows_of(tokenizer, corpus.held_out_text(), corpus.PROMPT)
    for name, windows in prompts.items():
        some = windows[:: len(windows) // 24][:24].tolist()
        texts = target_texts(teacher, some, 128)
        made.acceptance[name] = acceptance(read(made.model, teacher, texts))
    return made


def llama(
    *, width: int, layers: int, heads: int, mlp: int, seed: int = 0
) -> LlamaForCausalLM:
    """A Llama with random weights from the seed, its head tied, for 1,024 tokens."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=1024,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        attention_dropout=0.1,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config)


def own(
    place: Place, name: str, model: LlamaForCausalLM, tokenizer, loss: Loss
) -> Made:
    """Train on plays and help; measure nats a token and bits a character."""
    cut = corpus.windows_of(tokenizer, corpus.training_text(), OWN_WINDOW)
    windows = torch.cat(list(cut.values()))
    done = place.train(model, loss, windows, name)
    held = {}
    texts = corpus.held_out_text()
    for domain, ids in corpus.windows_of(tokenizer, texts, OWN_WINDOW).items():
        each = nats(model, ids)
        letters = len(tokenizer.decode(ids.flatten())) / ids.numel()
        bits = each.mean().item() / letters / np.log(2)
        held[domain] = [each.mean().item(), each.std().item(), bits]
    held["train"] = [nats(model, windows[::16]).mean().item()]
    return Made(model, tokenizer, len(windows), done, held)


@torch.inference_mode()
def nats(model: nn.Module, windows: Int[Tensor, "n window"]) -> Tensor:
    """Each window's mean −log probability of its next tokens."""
    found = []
    device = model.get_input_embeddings().weight.device
    for ids in windows.to(device).split(32):
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        each = cross_entropy(
            logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
        )
        found.append(each.view(len(ids), -1).mean(1).cpu())
    return torch.cat(found)


def make_draft(place: Place) -> Made:
    """SmolLM2's soft targets on its own texts, on plays and on help."""
    target, tokenizer = load_model()
    target = target.to(place.device)
    quick = torch.bfloat16 if place.device == "cuda" else torch.float32
    teacher = load_model(dtype=quick)[0].to(place.device)
    texts = kept_texts(place.work / "written.npz", teacher, tokenizer)
    cut = corpus.windows_of(tokenizer, corpus.training_text(), WINDOW)
    windows = torch.cat([corpus.packed(texts, WINDOW), *cut.values()])
    model = frequent_draft(target, windows)
    model.model.layers.requires_grad_(True)
    model.model.norm.requires_grad_(True)
    objective, head = Objective(), model.lm_head.weight.to(quick)

    def loss(student: nn.Module, ids: Tensor) -> Tensor:
        with torch.no_grad():
            known = teacher.model(input_ids=ids, use_cache=False).last_hidden_state
        with place.half():
            h = student.model(input_ids=ids, use_cache=False).last_hidden_state
            labels = next_tokens(ids)
            return chunked_loss(
                h.to(quick), head, known, head, labels, objective, rows=4096
            )

    done = place.train(model, loss, windows, "draft")
    held = {}
    with torch.no_grad():
        texts = corpus.held_out_text()
        cuts = corpus.windows_of(tokenizer, texts, WINDOW) | {"train": windows[::512]}
        for domain, ids in cuts.items():
            rows = ids[:32].to(place.device).split(1)
            each = torch.stack([loss(model, row) for row in rows])
            held[domain] = [each.mean().item(), each.std().item()]
    made = Made(model, tokenizer, len(windows), done, held)
    for domain, prompts in corpus.held_out_prompts(tokenizer).items():
        texts = target_texts(target, prompts, 128, stop=tokenizer.eos_token_id)
        made.acceptance[domain] = acceptance(read(model, target, texts))
    return made


def frequent_draft(
    target: LlamaForCausalLM, windows: Int[Tensor, "n window"]
) -> LlamaForCausalLM:
    """Four of the target's blocks, and its head for the most frequent tokens."""
    count = torch.bincount(windows.flatten(), minlength=target.config.vocab_size)
    tokens = count.argsort(descending=True, stable=True)[:KEPT]
    layers = even_layers(len(target.model.layers), 4)
    model = from_layers(target, layers)
    weight = target.model.embed_tokens.weight.detach()
    tokens = tokens.to(weight.device)
    model.lm_head = FrequentHead(weight[tokens], tokens, len(weight))
    return model


def kept_texts(path: Path, teacher: nn.Module, tokenizer) -> list[list[int]]:
    """What the teacher wrote, from the file if it is there: it takes minutes."""
    if not path.is_file():
        texts = corpus.written_by(teacher, tokenizer, count=2600, batch=1280)
        flat = np.array([t for text in texts for t in text], dtype=np.uint16)
        lengths = np.array([len(text) for text in texts], dtype=np.uint16)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.npz")
        np.savez(draft, flat=flat, lens=lengths)
        draft.replace(path)  # of several processes the last one's, which are equal
    kept = np.load(path)
    flat = torch.from_numpy(kept["flat"].astype(np.int64))
    return [part.tolist() for part in flat.split(kept["lens"].tolist())]


RECIPES: dict[str, Callable[[Place], Made]] = {
    "teacher": make_teacher,
    "student": make_student,
    "draft": make_draft,
}
