"""A student made of its teacher's layers, as DistilBERT was made of every second one.

    student's blocks = copies of the teacher's blocks l_1 < … < l_k

Embeddings, the last norm and the head are the teacher's. A residual stream is read and
written by all layers alike, so those that stay still understand one another, badly:
training repairs it, and takes far fewer steps than from random weights.

Read in order: `from_layers`, `even_layers`.
Source: Sanh et al. 2019, arXiv:1910.01108, section 3.
"""

import copy
from collections.abc import Sequence

from torch import nn
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
