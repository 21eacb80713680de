"""Inside the teacher: a student made of its layers, and one that copies its states.

    student's blocks   copies of the teacher's blocks l_1 < … < l_k
    hidden states      ‖h P − h'‖², P from the student's width to the teacher's
    attention          KL(a' ‖ a), a row of the teacher's attention and the student's
    nearest layers     Σ_l ‖h_m(l) P − h'_l‖²,  m(l) = argmin_j ‖h_j P − h'_l‖²

Embeddings, the last norm and the head are the teacher's. A residual stream is read and
written by all layers alike, so those that stay still understand one another, badly:
training repairs it, and takes far fewer steps than from random weights.

DistilBERT takes every second layer; Minitron and others keep both ends.

While masks are learned (lib/prune/structured/cofi.py) nobody knows which layers will be
left, and a fixed pairing would hold on to some that are to go. So CoFi looks for the
nearest anew in every step, among those that are there. One P serves all pairs, and
begins as the identity where both widths are equal, as the student begins as a copy.

Read in order: `from_layers`, `every_second`, `even_layers`; `hidden_loss`,
`fitted_projection`, `attention_loss`; `identity_projection`, `distances`,
`nearest_layers`, `layer_loss`.
Source: Sanh et al. 2019, arXiv:1910.01108, section 3; projections: Romero et al. 2015,
FitNets, arXiv:1412.6550; attention: Wang et al. 2020, MiniLM, arXiv:2002.10957; nearest
layers: Xia, Zhong & Chen 2022, CoFi, arXiv:2204.00408, section 3.3.
"""

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.special import xlogy
from transformers import LlamaForCausalLM

from lib.models.course.files import shell


def even_layers(of: int, kept: int) -> list[int]:
    """`kept` of the layers 0 … `of` − 1, spread evenly, with the first and the last.

    ValueError unless 1 ≤ `kept` ≤ `of`.
    """
    if not 1 <= kept <= of:
        raise ValueError(f"{kept} of {of} layers")
    return [round(i * (of - 1) / max(kept - 1, 1)) for i in range(kept)]


def from_layers(teacher: LlamaForCausalLM, layers: Sequence[int]) -> LlamaForCausalLM:
    """A model of copies of these blocks and the last norm; it shares the embeddings.

    ValueError for layers that the teacher has not.
    """
    blocks = teacher.model.layers
    if not layers or not 0 <= min(layers) <= max(layers) < len(blocks):
        raise ValueError(f"layers {list(layers)} of {len(blocks)}")
    config = copy.deepcopy(teacher.config)
    config.num_hidden_layers, config.layer_types = len(layers), None
    student = shell(config, teacher.model.embed_tokens, teacher.lm_head)
    student.model.layers = nn.ModuleList(copy.deepcopy(blocks[i]) for i in layers)
    for place, block in enumerate(student.model.layers):
        block.self_attn.layer_idx = place
    student.model.norm = copy.deepcopy(teacher.model.norm)
    student.model.rotary_emb = copy.deepcopy(teacher.model.rotary_emb)
    return student


def every_second(of: int) -> list[int]:
    """Layers 0, 2, 4, … of `of`; ValueError for no layer."""
    if of < 1:
        raise ValueError(f"every second of {of} layers")
    return list(range(0, of, 2))


def hidden_loss(
    student: Float[Tensor, "*places narrow"],
    teacher: Float[Tensor, "*places wide"],
    projection: nn.Linear,
    counts: Bool[Tensor, "*places"],
) -> Float[Tensor, ""]:
    """‖h P − h'‖², the mean over the places that count and the teacher's width.

    The projection is trained with the student, and thrown away. ValueError where no
    place counts, or the projection does not fit.
    """
    shape = student.shape[-1], teacher.shape[-1]
    if (projection.in_features, projection.out_features) != shape:
        raise ValueError(f"{projection} between widths {shape}")
    if not counts.any():
        raise ValueError("a mean of 0 places that count")
    return mse_loss(projection(student[counts]), teacher.detach()[counts])


def attention_loss(
    student: Float[Tensor, "*rows keys"], teacher: Float[Tensor, "*others attended"]
) -> Float[Tensor, ""]:
    """The mean KL(a' ‖ a) of the teacher's and the student's rows of attention.

    Rows (…, queries, keys) are probabilities; 0 log 0 = 0, so a causal mask costs
    nothing. ValueError for different shapes: heads are to be paired first.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"attention {tuple(student.shape)}, {tuple(teacher.shape)}")
    known = teacher.detach()
    tiny = torch.finfo(student.dtype).tiny
    return (xlogy(known, known) - xlogy(known, student.clamp(min=tiny))).sum(-1).mean()


@torch.no_grad()
def fitted_projection(
    student: Float[Tensor, "n narrow"], teacher: Float[Tensor, "m wide"]
) -> nn.Linear:
    """The projection that is best before any training: least squares, with a bias.

    ValueError for different numbers of rows.
    """
    if len(student) != len(teacher):
        raise ValueError(f"{len(student)} rows of the student, {len(teacher)}")
    rows = torch.cat((student, torch.ones_like(student[:, :1])), 1).double()
    solution = torch.linalg.lstsq(rows, teacher.double(), driver="gelsd").solution
    layer = nn.Linear(student.shape[1], teacher.shape[1])
    layer.weight.copy_(solution[:-1].T)
    layer.bias.copy_(solution[-1])
    return layer


@torch.no_grad()
def identity_projection(narrow: int, wide: int) -> nn.Linear:
    """P from one width to another, ones on its diagonal, and without a bias."""
    layer = nn.Linear(narrow, wide, bias=False)
    layer.weight.copy_(torch.eye(wide, narrow))
    return layer


@torch.no_grad()
def distances(
    student: Sequence[Float[Tensor, "*places narrow"]],
    teacher: Sequence[Float[Tensor, "*places wide"]],
    projection: nn.Linear,
) -> Float[Tensor, "taught layers"]:
    """Mean squares between each of the teacher's states and each of the student's."""
    seen = [projection(h) for h in student]
    return torch.stack(
        [torch.stack([mse_loss(h, wanted) for h in seen]) for wanted in teacher]
    )


def nearest_layers(
    found: Float[Tensor, "taught layers"], present: Sequence[int], *, ordered: bool
) -> list[int]:
    """m of every taught layer: the least distance among the `present`, first of equals.

    ValueError where no layer is present, or one that there is not.
    """
    layers = sorted(present)
    if not layers or not 0 <= layers[0] <= layers[-1] < found.shape[1]:
        raise ValueError(f"layers {list(present)} of {found.shape[1]}")
    matched, lowest = [], layers[0]
    for row in found.tolist():
        able = [j for j in layers if j >= lowest]
        matched.append(min(able, key=row.__getitem__))
        lowest = matched[-1] if ordered else lowest
    return matched


def layer_loss(
    student: Sequence[Float[Tensor, "*places narrow"]],
    teacher: Sequence[Float[Tensor, "*places wide"]],
    projection: nn.Linear,
    *,
    present: Sequence[int],
    ordered: bool = False,
) -> tuple[Float[Tensor, ""], list[int]]:
    """L, with a gradient for student and projection, and the layers that it paired.

    `student` has the states after every layer of its own, `teacher` those of T, all
    over the same places. ValueError as `nearest_layers`, and for no taught layer.
    """
    if not teacher:
        raise ValueError("no layer of the teacher is to be taught")
    matched = nearest_layers(
        distances(student, teacher, projection), present, ordered=ordered
    )
    pairs = zip(matched, teacher, strict=True)
    losses = [mse_loss(projection(student[j]), h.detach()) for j, h in pairs]
    return torch.stack(losses).sum(), matched
