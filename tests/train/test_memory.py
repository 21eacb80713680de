"""Memory by arithmetic, against models that are built and bytes that are counted."""

import pytest
import torch

from lib.quant.codebooks.normal_float import quantize_4bit
from lib.train.lora import LoRA
from lib.train.memory import (
    CONSTANT_BITS,
    LLAMA_65B,
    LlamaShape,
    SavedBytes,
    activations,
    full_fine_tuning,
    qlora_fine_tuning,
)
from lib.train.qlora import adapter_parameters, add_adapters, quantize_base


def gigabytes(terms):
    return sum(terms.values()) / 1e9


def test_65b_needs_783_gb_and_44_with_qlora_of_which_double_quantization_saves_three():
    assert LLAMA_65B.parameters == pytest.approx(65.2857e9, rel=1e-6)
    assert gigabytes(full_fine_tuning(LLAMA_65B)) == pytest.approx(783.43, abs=0.01)
    double, single = (qlora_fine_tuning(LLAMA_65B, double=d) for d in (True, False))
    assert gigabytes(double) == pytest.approx(44.05, abs=0.01)
    assert gigabytes(single) - gigabytes(double) == pytest.approx(3.02, abs=0.01)
    spike = gigabytes(activations(LLAMA_65B, 512))
    assert gigabytes(double) + spike < 48 < gigabytes(single) + spike


@pytest.mark.parametrize("double", [True, False])
def test_terms_are_the_bytes_of_a_model_that_is_built(small_llama, double):
    sizes = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 3}
    model = small_llama(**sizes)
    shape = LlamaShape(3, 64, 256, 40, kv=32)
    assert shape.parameters == model.num_parameters()
    assert shape.tied is False
    tied = LlamaShape(3, 64, 256, 40, kv=32, tied=True)
    built = small_llama(**sizes, tie_word_embeddings=True)
    assert tied.parameters == built.num_parameters()
    add_adapters(model, LoRA(rank=5))
    numbers = sum(p.numel() for p in adapter_parameters(model).values())
    assert shape.adapters(5) == numbers
    w = torch.randn(256 * 64, 64)
    stored = quantize_4bit(w, double=double).bits_per_weight
    assert stored == pytest.approx(4 + CONSTANT_BITS[double], rel=1e-4)


def test_smollm2_is_counted_to_the_last_weight(smollm2):
    model, _ = smollm2
    c = model.config
    shape = LlamaShape(
        *(c.num_hidden_layers, c.hidden_size, c.intermediate_size, c.vocab_size),
        kv=c.num_key_value_heads * c.head_dim,
        tied=True,
    )
    assert shape.parameters == model.num_parameters()


def test_saved_bytes_count_each_storage_once_and_no_parameter():
    layer = torch.nn.Linear(6, 6)
    x = torch.randn(5, 6, requires_grad=True)
    with SavedBytes(layer) as saved:
        y = layer(x)
        z = y * y.view(5, 6)
    assert saved.bytes == x.nbytes + y.nbytes
    with SavedBytes() as saved:
        layer(x)
    assert saved.bytes == x.nbytes + layer.weight.nbytes
    z.sum().backward()


def test_inputs_of_blocks_are_what_checkpointing_keeps_of_them(small_llama):
    kept = {}
    for layers in (2, 5):
        model = small_llama(num_hidden_layers=layers, hidden_size=64)
        quantize_base(model)
        add_adapters(model, LoRA(rank=2))
        model.train().gradient_checkpointing_enable({"use_reentrant": False})
        with SavedBytes(model) as saved:
            model(input_ids=torch.zeros(1, 32, dtype=torch.long), use_cache=False)
        kept[layers] = saved.bytes
    shape = LlamaShape(3, 64, 24, 40, kv=32)
    (of_16_bits, *_) = activations(shape, 32).values()
    assert kept[5] - kept[2] == 2 * of_16_bits, "here in 32 bits"


def test_impossible_shapes_are_refused():
    with pytest.raises(ValueError, match="below 1"):
        LlamaShape(0, 64, 24, 40)
