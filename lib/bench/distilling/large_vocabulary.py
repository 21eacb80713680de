"""The distillation loss of 128,256 tokens: time, memory and error, beside Liger.

    python -m lib.bench distillation_loss                # on a GPU, about a minute
    python -m lib.bench distillation_loss --small        # anywhere: no claims

Hidden states of student and teacher, two heads, KL(p ‖ q) at T = 1: from there to the
gradients of the student's states and head. Memory is what a call takes beyond its
inputs, at most, and so counts the gradients. Errors are of each gradient's norm,
against the same loss in float32. The floor is four products at the rate of a large one.

`parts` are ours taken apart: each product of a chunk, and the kernel over its logits.

Read in order: `Problem`, `ours`, `plain`, `liger_chunked`, `liger_fused`, `measure`,
`parts`, `main`.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from lib.bench.kernels.rows import FLOPS, attempt_text, relative_error
from lib.bench.record import SEED, Run, record
from lib.bench.timing import bandwidth, microseconds, microseconds_of_a_loop
from lib.distill.chunked import chunked_loss
from lib.distill.losses import Objective, distillation_loss
from lib.kernels.soft_targets import soft_rows

LARGE = (4096, 128_256, 2048, 4096)  # tokens, vocabulary, widths
SMALL = (64, 512, 32, 64)
ROWS = (512, 1024)  # of a chunk
GRADIENTS = ("of_hidden", "of_head")


@dataclass(frozen=True)
class Problem:
    """Two models' last states and heads; the student's want gradients."""

    hidden: Tensor
    head: Tensor
    known: Tensor
    teacher_head: Tensor
    labels: Tensor

    @classmethod
    def drawn(cls, sizes: tuple[int, int, int, int], device: str) -> "Problem":
        """In bf16, logits of about N(0, 4); a teacher that is not the student."""
        tokens, vocabulary, width, teacher_width = sizes
        draw = torch.Generator(device).manual_seed(SEED)
        normal = partial(torch.randn, generator=draw, device=device)
        made = [
            normal(rows, cols).mul_(scale).bfloat16()
            for rows, cols, scale in (
                *((tokens, width, 1.0), (vocabulary, width, 2 * width**-0.5)),
                (tokens, teacher_width, 1.0),
                (vocabulary, teacher_width, 2 * teacher_width**-0.5),
            )
        ]
        for one in made[:2]:
            one.requires_grad_()
        size = {"generator": draw, "device": device}
        return cls(*made, torch.randint(vocabulary, (tokens,), **size))

    def tensors(self) -> tuple[Tensor, ...]:
        """As the losses take them."""
        return self.hidden, self.head, self.known, self.teacher_head, self.labels

    def gradients(self, loss: Callable[["Problem"], Tensor]) -> list[Tensor]:
        """One call: the loss, and both gradients, new ones."""
        self.hidden.grad = self.head.grad = None
        loss(self).backward()
        return [self.hidden.grad, self.head.grad]


def ours(problem: Problem, rows: int) -> Tensor:
    """lib/distill/chunked.py."""
    return chunked_loss(*problem.tensors(), Objective(), rows=rows)


def plain(problem: Problem) -> Tensor:
    """torch's `kl_div` of all logits at once."""
    hidden, head, known, teacher_head, _ = problem.tensors()
    q = (hidden @ head.T).float().log_softmax(-1)
    with torch.no_grad():
        p = (known @ teacher_head.T).float().log_softmax(-1)
    kl = torch.nn.functional.kl_div
    return kl(q, p, log_target=True, reduction="batchmean")


def liger_chunked(problem: Problem) -> Tensor:
    """Liger's chunks of 1,024 rows, compiled; β = 0 is KL(p ‖ q)."""
    from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss

    loss = LigerFusedLinearJSDLoss(
        weight_hard_loss=0.0, weight_soft_loss=1.0, beta=0.0, chunk_size=1024
    )
    return loss(*problem.tensors())


def liger_fused(problem: Problem) -> Tensor:
    """Liger's kernel, as its defaults cut the rows."""
    from liger_kernel.transformers.fused_linear_jsd import LigerFusedLinearJSD

    hidden, head, known, teacher_head, labels = problem.tensors()
    loss = LigerFusedLinearJSD(jsd_beta=0.0)
    return loss(hidden, head, known, teacher_head, labels)


WAYS = {f"ours_{rows}": partial(ours, rows=rows) for rows in ROWS} | {
    "torch": plain,
    "liger_chunked": liger_chunked,
    "liger_fused": liger_fused,
}


def exact(problem: Problem, rows: int = 256) -> list[Tensor]:
    """Both gradients in float32, from the same states and heads."""
    gpu = problem.hidden.is_cuda
    assert not (gpu and torch.backends.cuda.matmul.allow_tf32), "float32 is meant"
    wide = [x.detach().float() for x in problem.tensors()[:4]]
    found = [torch.zeros_like(x, dtype=torch.float32) for x in wide[:2]]
    for part in range(0, len(problem.labels), rows):
        at = slice(part, part + rows)
        h, w = wide[0][at].requires_grad_(), wide[1].requires_grad_()
        logits = h @ w.T, wide[2][at] @ wide[3].T
        labels = problem.labels[at]
        loss = distillation_loss(*logits, labels, Objective(), reduction="sum")
        of_h, of_w = torch.autograd.grad(loss / len(problem.labels), (h, w))
        found[0][at] = of_h
        found[1] += of_w
    return found


def measure(problem: Problem, true: list[Tensor], loss: Callable) -> dict:
    """A row: milliseconds, bytes beyond the inputs, relative errors; or why not."""
    call = partial(problem.gradients, loss)
    try:
        errors = [relative_error(*pair) for pair in zip(call(), true, strict=True)]
        row = {"errors": dict(zip(GRADIENTS, errors, strict=True))}
        problem.hidden.grad = problem.head.grad = None
        if problem.hidden.is_cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            call()
            row["peak_bytes"] = torch.cuda.max_memory_allocated() - before
        return row | {"ms": microseconds_of_a_loop([call]) / 1e3}
    except Exception as problem_found:
        return {"error": attempt_text(problem_found)}
    finally:
        problem.hidden.grad = problem.head.grad = None


@torch.no_grad()
def parts(problem: Problem, rows: int) -> dict[str, float]:
    """Milliseconds of a chunk's products and of its kernel, each by itself."""
    h, w, k, v = (x.detach() for x in problem.tensors()[:4])
    h, k, labels = h[:rows], k[:rows], problem.labels[:rows]
    s, t, total = h @ w.T, k @ v.T, torch.zeros_like(w)
    steps = {
        "student": lambda: torch.mm(h, w.T, out=s),
        "teacher": lambda: torch.mm(k, v.T, out=t),
        "kernel": lambda: soft_rows(s, t, labels),
        "of_hidden": lambda: torch.mm(s, w),
        "of_head": lambda: total.addmm_(s.T, h),
    }
    return {name: microseconds([step]) / 1e3 for name, step in steps.items()}


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """A size for any machine."""
    parser.add_argument("--small", action="store_true", help="a size for a CPU")


def main(run: Run, name: str, options: argparse.Namespace) -> bool:
    """A row a way, recorded as soon as it is there."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = SMALL if options.small else LARGE
    tokens, vocabulary, width, teacher_width = sizes
    products = 2 * tokens * vocabulary * (3 * width + teacher_width)
    problem = Problem.drawn(sizes, device)
    true = exact(problem)
    results = {
        "sizes": dict(zip(("tokens", "vocabulary", "width"), sizes, strict=False)),
        "teacher_width": teacher_width,
        "floor_ms": products / FLOPS / 1e3 if device == "cuda" else None,
        "bandwidth_bytes_per_us": bandwidth(),
        "rows": [],
    }
    protocol = "bf16, KL at T = 1; median of loops by events, peak beyond the inputs"
    for way, loss in WAYS.items():
        row = {"way": way} | measure(problem, true, loss)
        print(row, flush=True)
        results["rows"].append(row)
        record(run, results, protocol=protocol)
    results["parts"] = {str(rows): parts(problem, rows) for rows in ROWS}
    print(results["parts"], flush=True)
    record(run, results, protocol=protocol)
    ours = [row for row in results["rows"] if row["way"].startswith("ours")]
    return not any("error" in row for row in ours)
