"""The file of a draft: what `lib.models.course.draft_model` reads.

    w ≈ ŵ = q max|w| / 127,   q in int8, a scale a row      |w − ŵ| <= max|w| / 254

Blocks, norm and the tokens of the head are stored; the embeddings are SmolLM2's.

Read in order: `save_draft`.
"""

from pathlib import Path

from safetensors.torch import save_file
from transformers import LlamaForCausalLM

from lib.quant.outliers.int8 import quantize_rows


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
