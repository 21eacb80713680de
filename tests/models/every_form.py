"""A model that a method changed is one model: packed, as a file, and dense."""

import copy

import torch
from transformers import LlamaForCausalLM

from lib.layers.packed import PackedLinear
from lib.models.packed_file import dense, load_quantized, save_quantized
from lib.models.quantize import quantize_model
from lib.models.walk import linear_layers


def dense_form(model, method, tokens, folder):
    """Change `model` by `method`, then make it dense, after all forms have agreed."""
    fresh = copy.deepcopy(model)
    report = quantize_model(model, method, tokens)
    logits = model(tokens).logits
    packed = [m for m in model.modules() if isinstance(m, PackedLinear)]
    weights = sum(layer.weights for layer in report.layers.values())
    claimed = report.bits_per_weight * weights / 8
    assert abs(sum(p.nbytes for p in packed) - claimed) < len(packed), "bytes not bits"
    assert not linear_layers_left(model)
    path = folder / "model.safetensors"
    size = save_quantized(model, path, dtype=torch.float32)
    assert size == path.stat().st_size
    loaded = load_quantized(LlamaForCausalLM(fresh.config).eval(), path)
    assert torch.equal(loaded(tokens).logits, logits)
    rotated = any(p.metadata["kind"] == "incoherent" for p in packed)
    other = dense(model)(tokens).logits  # of Ŵ, where the packed layer rotates x
    assert (
        torch.allclose(other, logits, atol=1e-5) if rotated else (other == logits).all()
    )
    return model


def linear_layers_left(model):
    try:
        return linear_layers(model)
    except ValueError:
        return {}
