"""QLoRA: the bits of autograd through Ŵ and of bitsandbytes, and no dense Ŵ kept."""

import gc

import pytest
import torch
from torch import nn

from lib.layers.packed import PackedLinear
from lib.quant.codebooks.double import dequantize_scales
from lib.quant.codebooks.normal_float import NormalFloat, dequantize_4bit, quantize_4bit
from lib.quant.uniform.grouped import round_to_nearest
from lib.train.lora import LoRA, LoRALinear, initial
from lib.train.memory import SavedBytes
from lib.train.qlora import (
    QLoRALinear,
    adapter_parameters,
    adapters,
    add_adapters,
    double_dequant,
    quantize_base,
)

OUTPUTS, INPUTS, RANK = 96, 128, 4
KINDS = {
    "nf4": NormalFloat("nf4"),
    "nf4 + DQ": NormalFloat("nf4", double=True),
    "fp4": NormalFloat("fp4"),
}


def pair(quantized, generator, *, bias=True, dtype=torch.float32, **settings):
    """The layer over codes and the same over Ŵ, with an adapter that has learned."""
    b = torch.randn(OUTPUTS, generator=generator).to(dtype) if bias else None
    packed = PackedLinear.from_quantized(quantized, b)
    dense = nn.Linear(INPUTS, OUTPUTS, bias=bias, dtype=dtype)
    dense.weight.data = packed.weight_matrix(dtype)
    if bias:
        dense.bias.data = b.clone()
    A, B = initial(INPUTS, OUTPUTS, RANK, generator)
    B = torch.randn(B.shape, generator=generator)
    config = LoRA(rank=RANK, alpha=16.0, **settings)
    return (
        QLoRALinear(packed, A, B, config),
        LoRALinear(dense, A.clone(), B.clone(), config),
    )


def grads(layer, x, g):
    x = x.clone().requires_grad_()
    y = layer(x)
    y.backward(g)
    return y.detach(), x.grad, layer.lora_A.grad, layer.lora_B.grad


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
def test_both_passes_have_the_bits_of_autograd_through_w_hat(
    kind, dtype, bias, generator
):
    w = torch.randn(OUTPUTS, INPUTS, generator=generator)
    quantized = KINDS[kind].quantize(w.to(dtype))
    ours, plain = pair(quantized, generator, bias=bias, dtype=dtype)
    x = torch.randn(2, 9, INPUTS, generator=generator).to(dtype)
    g = torch.randn(2, 9, OUTPUTS, generator=generator).to(dtype)
    for mine, theirs in zip(grads(ours, x, g), grads(plain, x, g), strict=True):
        assert mine.dtype == theirs.dtype
        # A product over the tokens may sum (2, 9) and (18,) rows in another order.
        # In bf16 autograd rounds the two paths to x before it adds them, we after.
        close = {torch.float32: 1e-5, torch.bfloat16: 2**-7}[dtype]
        close *= max(1, theirs.abs().max().item())
        torch.testing.assert_close(mine, theirs, rtol=0, atol=close)
    with torch.no_grad():
        assert torch.equal(ours(x), plain(x))


def test_dropout_draws_the_same_and_reaches_the_adapter_only(generator):
    w = torch.randn(OUTPUTS, INPUTS, generator=generator)
    ours, plain = pair(KINDS["nf4"].quantize(w), generator, dropout=0.5)
    x = torch.randn(9, INPUTS, generator=generator)
    g = torch.randn(9, OUTPUTS, generator=generator)
    results = []
    for layer in (ours, plain):
        torch.manual_seed(3)
        results.append(grads(layer.train(), x, g))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_any_packed_matrix_can_be_adapted(generator):
    w = torch.randn(OUTPUTS, INPUTS, generator=generator)
    ours, plain = pair(round_to_nearest(w, bits=4, group=64), generator)
    x = torch.randn(9, INPUTS, generator=generator)
    g = torch.randn(9, OUTPUTS, generator=generator)
    for mine, theirs in zip(grads(ours, x, g), grads(plain, x, g), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_the_constants_are_dequantized_first_and_then_the_weights(generator):
    w = torch.randn(64, 4 * 64 * 8, generator=generator)
    packed = quantize_4bit(w, double=True)
    c1, c2 = packed.scales.scales, packed.scales
    assert torch.equal(double_dequant(c1, c2, packed), dequantize_4bit(packed))
    blocks = double_dequant(2 * c1, c2, packed).view(-1, 64).abs().amax(1)
    scales = 2 * (dequantize_scales(c2) - c2.mean) + c2.mean
    torch.testing.assert_close(blocks, scales.abs())


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("double", [False, True])
def test_forward_and_input_gradient_equal_bitsandbytes_bit_for_bit(
    kind, double, generator
):
    bnb = pytest.importorskip("bitsandbytes")
    w = torch.randn(OUTPUTS, INPUTS, generator=generator)
    bias = torch.randn(OUTPUTS, generator=generator)
    theirs = bnb.nn.Linear4bit(
        INPUTS,
        OUTPUTS,
        compute_dtype=torch.float32,
        compress_statistics=double,
        quant_type=kind,
    )
    theirs.load_state_dict({"weight": w, "bias": bias})
    theirs = theirs.to("cpu").requires_grad_(False).train()
    packed = PackedLinear.from_quantized(
        NormalFloat(kind, double=double).quantize(w), bias
    )
    A, B = initial(INPUTS, OUTPUTS, RANK, generator)
    ours = QLoRALinear(packed, A, B, LoRA(rank=RANK))
    x = torch.randn(9, INPUTS, generator=generator).requires_grad_()
    other = x.detach().clone().requires_grad_()
    y, expected = ours(x), theirs(other)
    assert torch.equal(y, expected), "B = 0: the adapter adds nothing"
    g = torch.randn(9, OUTPUTS, generator=generator)
    y.backward(g)
    expected.backward(g)
    assert torch.equal(x.grad, other.grad)


def live_bytes(dtype=torch.float32):
    """Bytes of all tensors that are alive, each storage once."""
    gc.collect()
    found = {}
    for thing in gc.get_objects():
        if type(thing) in (torch.Tensor, nn.Parameter):
            storage = thing.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
    return sum(found.values())


def test_between_the_passes_no_dense_weight_is_alive(generator):
    w = torch.randn(OUTPUTS, INPUTS, generator=generator)
    ours, plain = pair(KINDS["nf4"].quantize(w), generator, bias=False)
    x = torch.randn(3, INPUTS, generator=generator).requires_grad_()
    dense, ends = w.nbytes, 4 * 3 * (INPUTS + OUTPUTS + RANK)
    before = live_bytes()
    y = ours(x)
    assert live_bytes() - before <= ends < dense
    del y
    unpacked = nn.functional.linear(x, ours.base.weight_matrix())
    with SavedBytes(ours) as saved:
        again = nn.functional.linear(x, ours.base.weight_matrix())
    assert saved.bytes >= dense, "what plain autograd would keep"
    with SavedBytes(ours) as saved:
        y = ours(x)
    assert saved.bytes == x.nbytes, "x alone; A, B and the codes are there anyhow"
    del unpacked, again, y, plain


def test_a_model_learns_over_its_codes_and_the_codes_stay(small_llama):
    model = small_llama(hidden_size=64, intermediate_size=128)
    quantize_base(model)
    ids = torch.arange(30).view(2, 15)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    add_adapters(model, LoRA(rank=4))
    assert all(isinstance(layer, QLoRALinear) for layer in adapters(model).values())
    optimizer = torch.optim.AdamW(adapter_parameters(model).values(), 1e-2)
    losses = []
    for _ in range(12):
        out = model(input_ids=ids, labels=ids)
        losses.append(out.loss.item())
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0] - 0.3
    after = {k.replace(".base.", "."): v for k, v in model.state_dict().items()}
    assert all(torch.equal(after[name], old) for name, old in before.items())
