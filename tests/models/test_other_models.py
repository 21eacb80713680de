"""Models of other families: quantized, saved, read and run, or refused by name."""

import copy
import warnings

import pytest
import torch
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    MixtralConfig,
    MixtralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from lib.models.packed_file import dense, load_quantized, save_quantized
from lib.models.quantize import quantize_model
from lib.models.rescale import AWQ, plant_outliers, smooth
from lib.models.walk import conv1d_to_linear, linear_layers
from lib.prune.wanda import Wanda
from lib.quant.codebooks.normal_float import NormalFloat
from lib.quant.solvers.gptq import GPTQ
from lib.quant.solvers.spqr import SpQR
from lib.quant.uniform.grouped import RoundToNearest
from tests.models.rotary import LLAMA3

WORDS = 40
TOKENS = torch.randint(WORDS, (4, 16), generator=torch.Generator().manual_seed(0))
SHAPE = {
    "vocab_size": WORDS,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}


def gpt2():
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=WORDS,
            n_embd=16,
            n_layer=2,
            n_head=2,
            n_positions=64,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def opt():
    size = {"ffn_dim": 32, "word_embed_proj_dim": 8}
    rest = {k: v for k, v in SHAPE.items() if k != "intermediate_size"}
    return OPTForCausalLM(OPTConfig(**size, **rest))


FAMILIES = {
    "gpt2": gpt2,
    "opt": opt,
    "qwen2, tied": lambda: Qwen2ForCausalLM(
        Qwen2Config(**SHAPE, tie_word_embeddings=True)
    ),
    "mixtral": lambda: MixtralForCausalLM(MixtralConfig(**SHAPE, num_local_experts=2)),
    "gemma": lambda: GemmaForCausalLM(GemmaConfig(**SHAPE, head_dim=16)),
    "llama 3": lambda: LlamaForCausalLM(
        LlamaConfig(**SHAPE, rope_parameters=LLAMA3, attention_bias=True)
    ),
    "classifier": lambda: LlamaForSequenceClassification(LlamaConfig(**SHAPE)),
}
MIXTURE = "6 matrices are no linear layers .*experts.gate_up_proj"


def build(family, dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    model = FAMILIES[family]().eval().requires_grad_(False)
    for parameter in model.parameters():  # norms and biases that do something
        if parameter.ndim == 1:
            parameter += 0.3 * torch.randn(parameter.shape)
    conv1d_to_linear(model)
    return model.to(dtype)


def everything(model):
    return {n: (id(p), p.clone()) for n, p in model.named_parameters()}


@pytest.mark.filterwarnings(f"ignore:{MIXTURE}:UserWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", FAMILIES)
def test_quantized_saved_read_and_run(family, dtype, tmp_path):
    plain, model = build(family, dtype), build(family, dtype)
    report = quantize_model(model, GPTQ(4, 8), TOKENS)
    counted = sum(r.weights for r in (report.layers | report.dense).values())
    assert counted == sum(p.numel() for p in plain.parameters())
    stored = 8 * dtype.itemsize
    share = sum(r.weights for r in report.layers.values()) / counted
    whole = share * report.bits_per_weight + (1 - share) * stored
    assert report.model_bits_per_weight == pytest.approx(whole)
    assert f"of {counted:,} parameters" in str(report)
    for name, layer in report.layers.items():
        assert 0 < layer.error < 0.1, f"{name}: {layer.error}"
    logits, expected = model(TOKENS).logits, plain(TOKENS).logits
    moved = (logits - expected).float().norm() / expected.float().norm()
    assert logits.dtype == dtype and 0 < moved < 0.3
    save_quantized(model, tmp_path / "x", dtype=dtype)
    again = load_quantized(build(family, dtype, seed=1), tmp_path / "x")
    assert torch.equal(again(TOKENS).logits, logits)
    if family != "classifier":
        assert again.generate(TOKENS[:1, :4], max_new_tokens=3).shape == (1, 7)
    assert torch.equal(dense(again)(TOKENS).logits, logits)


def test_gpt2s_transposed_layers_are_refused_or_turned():
    model = gpt2().eval()
    with pytest.raises(ValueError, match=r"c_attn is a Conv1D.*conv1d_to_linear"):
        quantize_model(model, NormalFloat())
    expected = model(TOKENS).logits
    assert conv1d_to_linear(model) == 2 * 4 and conv1d_to_linear(model) == 0
    assert torch.allclose(model(TOKENS).logits, expected, atol=1e-5)
    assert len(linear_layers(model)) == 8


def test_fused_experts_are_named_and_counted():
    model = build("mixtral")
    experts = {n: p.numel() for n, p in model.named_parameters() if ".mlp." in n}
    with pytest.warns(UserWarning, match=MIXTURE) as caught:
        report = quantize_model(model, NormalFloat())
    assert f"{sum(experts.values()):,} of the model's" in str(caught[0].message)
    for name, count in experts.items():
        assert report.dense[name].weights == count
        assert name in str(report) or "gate.weight" in name
    assert report.bits_per_weight < 5 < 20 < report.model_bits_per_weight


def test_a_dense_model_warns_of_nothing(tiny_llama):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quantize_model(tiny_llama, NormalFloat())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("change", [AWQ(3, 8).prepare, smooth, plant_outliers])
def test_a_trade_that_would_change_the_model_is_refused(change, dtype):
    """Gemma has Llama's names, but its norms multiply by 1 + g."""
    model, tokens = build("gemma", dtype), TOKENS
    if change is plant_outliers:
        tokens = [3, 5]
    before = everything(model)
    with pytest.raises(ValueError, match=r"GemmaForCausalLM changes when input_layer"):
        change(model, tokens)
    after = dict(model.named_parameters())
    assert all(id(after[n]) == i and after[n].equal(v) for n, (i, v) in before.items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["qwen2, tied", "llama 3"])
def test_half_precision_is_scaled_and_smoothed(family, dtype):
    plain, model = build(family, dtype), build(family, dtype)
    smooth(model, TOKENS)
    report = quantize_model(model, AWQ(4, 8), TOKENS)
    moved = (model(TOKENS).logits - plain(TOKENS).logits).float().norm()
    assert moved < 0.2 * plain(TOKENS).logits.float().norm()
    assert all(0 < layer.error < 0.05 for layer in report.layers.values())
    assert {p.dtype for p in model.parameters()} == {dtype}


def test_errors_too_small_for_half_precision_are_known():
    """Their squares underflow: the error was 0, or NaN, where it was taken in fp16."""
    model = build("llama 3", torch.float16)
    for layer in linear_layers(model).values():
        layer.weight *= 0.05
    report = quantize_model(model, GPTQ(4, 8), TOKENS)
    assert all(0 < layer.error < 0.1 for layer in report.layers.values())


SHAPES = [
    (RoundToNearest(4, 64), r"layers\.0\.\w+\.q_proj: group=64 does not divide the 16"),
    (SpQR(3, 16, constant_rows=7), "constant_rows=7 does not divide 16 rows"),
    (Wanda((2, 5)), "m=5 does not divide the 16 columns"),
    (GPTQ(4, 32), r"layers\.0\.\w+\.q_proj: group=32 does not divide the 16 columns"),
]


@pytest.mark.parametrize(("method", "words"), SHAPES)
def test_shapes_are_refused_before_any_work(method, words, monkeypatch):
    model = build("llama 3")
    monkeypatch.setattr(type(model.model), "forward", lambda *a, **k: 1 / 0)
    with pytest.raises(ValueError, match=words):
        quantize_model(model, method, TOKENS)


def test_a_model_of_two_halves_is_refused():
    config = T5Config(
        vocab_size=WORDS, d_model=16, d_ff=16, num_layers=1, num_heads=2, d_kv=8
    )
    with pytest.raises(ValueError, match="an encoder and a decoder"):
        quantize_model(T5ForConditionalGeneration(config), GPTQ(4, 8), TOKENS)


@pytest.mark.filterwarnings(f"ignore:{MIXTURE}:UserWarning")
@pytest.mark.parametrize("family", ["gpt2", "qwen2, tied", "mixtral", "llama 3"])
@pytest.mark.parametrize("at", [1, 3, -1])
def test_a_stop_in_the_middle_leaves_the_model_whole(family, at, monkeypatch):
    """And a second call, on the same model, is as good as a first one."""
    model, plain = build(family), build(family)
    before, count = everything(model), len(linear_layers(model))
    honest, calls = GPTQ.quantize, []

    def stops(self, w, inputs):
        calls.append(1)
        if len(calls) == at % (count + 1):
            raise KeyboardInterrupt
        return honest(self, w, inputs)

    with monkeypatch.context() as patch:
        patch.setattr(GPTQ, "quantize", stops)
        with pytest.raises(KeyboardInterrupt):
            quantize_model(model, GPTQ(2, 8), TOKENS)
    after = dict(model.named_parameters())
    assert all(id(after[n]) == i and after[n].equal(v) for n, (i, v) in before.items())
    assert torch.equal(model(TOKENS).logits, plain(TOKENS).logits)
    quantize_model(model, GPTQ(2, 8), TOKENS)
    quantize_model(plain, GPTQ(2, 8), TOKENS)
    assert torch.equal(model(TOKENS).logits, plain(TOKENS).logits)


def test_another_models_layers_are_refused(tmp_path):
    quantize_model(build("llama 3"), GPTQ(4, 8), TOKENS, folder=tmp_path)
    for other in (build("llama 3", seed=1), build("llama 3", torch.bfloat16)):
        with pytest.raises(ValueError, match=r"was made of 16x16 torch\.float32 "):
            quantize_model(other, GPTQ(4, 8), TOKENS, folder=tmp_path)
    path = next(tmp_path.glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is damaged: delete it"):
        quantize_model(build("llama 3"), GPTQ(4, 8), TOKENS, folder=tmp_path)


def test_files_and_models_that_differ_in_what_is_tied(tmp_path):
    tied = build("qwen2, tied")
    untied = copy.deepcopy(tied)
    untied.lm_head.weight = torch.nn.Parameter(1 + untied.lm_head.weight)
    fresh = {"tied": copy.deepcopy(tied), "untied": copy.deepcopy(untied)}
    for name, model in (("tied", tied), ("untied", untied)):
        quantize_model(model, NormalFloat())
        save_quantized(model, tmp_path / name)
    with pytest.raises(ValueError, match=r"tied does not fit.*missing \['lm_head.w"):
        load_quantized(copy.deepcopy(fresh["untied"]), tmp_path / "tied")
    with pytest.raises(ValueError, match=r"tied in the model only \['lm_head.weight"):
        load_quantized(copy.deepcopy(fresh["tied"]), tmp_path / "untied")
    for name, model in (("tied", tied), ("untied", untied)):
        again = load_quantized(fresh[name], tmp_path / name)
        assert torch.allclose(again(TOKENS).logits, model(TOKENS).logits, atol=1e-2)


def test_views_and_empty_buffers_are_saved(tiny_llama, tmp_path):
    fresh = copy.deepcopy(tiny_llama)
    for model, fill in ((tiny_llama, 7.0), (fresh, 0.0)):
        table = torch.full((4, 2), fill)
        for name, buffer in {
            "table": table,
            "flat": table.view(-1),
            "top": table[:2],
            "none": torch.empty(0),
            "nothing": torch.empty(0, 3),
        }.items():
            model.register_buffer(name, buffer)
    quantize_model(tiny_llama, NormalFloat())
    save_quantized(tiny_llama, tmp_path / "x")
    again = load_quantized(fresh, tmp_path / "x")
    for name in ("table", "flat", "top", "none", "nothing"):
        assert torch.equal(again.get_buffer(name), tiny_llama.get_buffer(name)), name


def test_a_file_that_does_not_fit_leaves_the_model_alone(small_llama, tmp_path):
    model = small_llama(tie_word_embeddings=False)
    quantize_model(model, NormalFloat())
    save_quantized(model, tmp_path / "x")
    wider = small_llama(tie_word_embeddings=False, intermediate_size=32)
    deeper = small_llama(tie_word_embeddings=False, num_hidden_layers=3)
    biased = small_llama(tie_word_embeddings=False, attention_bias=True)
    for other, words in (
        (wider, r"of another shape \['model.layers.0.mlp.gate_proj"),
        (deeper, r"missing \['model.layers.2"),
        (biased, r"of another shape \['model.layers.0.self_attn.q_proj"),
    ):
        before = everything(other)
        with pytest.raises(ValueError, match=words):
            load_quantized(other, tmp_path / "x")
        after = dict(other.named_parameters())
        assert all(id(after[n]) == i for n, (i, _) in before.items())
        assert all(torch.equal(after[n], v) for n, (_, v) in before.items())


def test_numbers_that_a_files_dtype_cannot_hold_are_refused(tiny_llama, tmp_path):
    tiny_llama.model.norm.weight[3] = 1e5
    quantize_model(tiny_llama, NormalFloat())
    with pytest.raises(ValueError, match=r"model.norm.weight reaches 1e\+05, and 1 of"):
        save_quantized(tiny_llama, tmp_path / "x")
    save_quantized(tiny_llama, tmp_path / "x", dtype=torch.bfloat16)
