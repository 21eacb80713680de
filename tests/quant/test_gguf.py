"""GGUF's blocks: the package `gguf` reads what we write, and we what it writes."""

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from lib.models.gguf_file import rotary_rows, save_gguf
from lib.quant.gguf import BLOCKS, decode, encode

KINDS = sorted(BLOCKS)


def theirs(kind):
    return gguf.GGMLQuantizationType[kind]


def weights(rows=32, cols=512):
    """Normal weights with zeros, a constant row, an outlier and signs all alike."""
    draw = torch.Generator().manual_seed(0)
    w = torch.randn(rows, cols, generator=draw) * 0.05
    w[0] = 0
    w[1] = 0.3
    w[2, 7] = 5
    w[3], w[4] = w[3].abs(), -w[4].abs()
    w[5, :40] = 0
    return w


@pytest.mark.parametrize("kind", KINDS)
def test_block_sizes_are_ggufs(kind):
    assert gguf.GGML_QUANT_SIZES[theirs(kind)] == (
        BLOCKS[kind].weights,
        BLOCKS[kind].nbytes,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # inf and NaN steps
def test_any_bytes_read_as_the_package_reads_them(kind, generator):
    raw = torch.randint(256, (400, 4 * BLOCKS[kind].nbytes), generator=generator)
    raw = raw.to(torch.uint8)
    reference = gguf.dequantize(raw.numpy(), theirs(kind))
    assert np.array_equal(decode(raw, kind).numpy(), reference, equal_nan=True)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1"])
def test_weights_are_written_as_the_package_writes_them(kind):
    w = weights()
    ours, reference = encode(w, kind).numpy(), gguf.quantize(w.numpy(), theirs(kind))
    assert (ours != reference).sum() == 0


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1"])
def test_errors_are_bounded_by_the_runs_range(kind):
    w = weights()
    runs, back = w.view(-1, 32), decode(encode(w, kind), kind).view(-1, 32)
    high, low = runs.amax(1), runs.amin(1)
    reach = torch.maximum(high, -low)
    step = {
        "Q8_0": reach / 127,
        "Q4_0": 2 * reach / 8,  # at the short end a whole step, not half, is lost
        "Q4_1": (high - low) / 15,
    }[kind]
    worst = ((back - runs).abs().amax(1) - 0.5 * step) / reach.clamp(min=1e-9)
    assert worst.max() <= 2**-9, "more than half a step and fp16's rounding"


def test_q4_k_searches_and_errs_less_than_q4_0_at_equal_bits(generator):
    w = torch.randn(64, 512, generator=generator)
    errors = {k: (decode(encode(w, k), k) - w).square().mean() for k in KINDS}
    assert BLOCKS["Q4_K"].bits_per_weight == BLOCKS["Q4_0"].bits_per_weight == 4.5
    assert errors["Q8_0"] < errors["Q4_K"] < 0.85 * errors["Q4_0"]


@pytest.mark.parametrize("kind", ["Q4_1", "Q8_0"])
def test_what_was_read_is_written_back_unchanged(kind):
    w = decode(encode(weights(), kind), kind)
    assert torch.equal(decode(encode(w, kind), kind), w)


def test_bad_rows_and_bytes_say_so(as_a_user):
    with pytest.raises(
        ValueError, match=r"Q4_K needs rows of a multiple of 256 w.*not 576"
    ):
        encode(torch.zeros(2, 576), "Q4_K")
    with pytest.raises(ValueError, match="kind='Q3_X' is not one of"):
        encode(torch.zeros(2, 32), "Q3_X")
    with pytest.raises(
        ValueError, match="Q4_0 needs uint8 rows of a multiple of 18 bytes"
    ):
        decode(torch.zeros(2, 17, dtype=torch.uint8), "Q4_0")
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        encode(torch.full((1, 32), torch.nan)[:, :32].index_fill(
            1, torch.arange(31), 0.0), "Q4_0")  # fmt: skip
    with pytest.raises(ValueError, match="exceeds fp16's 65504"):
        encode(torch.full((1, 32), 1e8), "Q8_0")


def test_rotary_rows_are_paired_within_each_head():
    rows = torch.arange(8.0)[:, None]  # two heads of four
    assert rotary_rows(rows, 2).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_transformers_loads_smollm2_from_the_file_we_write(smollm2, tmp_path):
    model, tokenizer = smollm2
    config = type(model.config)(**model.config.to_dict() | {"num_hidden_layers": 1})
    small = LlamaForCausalLM(config)
    small.load_state_dict(model.state_dict(), strict=False)
    path = tmp_path / "model.gguf"
    kinds = save_gguf(small, tokenizer, path, kind="Q4_1")
    assert kinds == {"Q4_1": 7, "F32": 3, "Q8_0": 1}
    where = {"pretrained_model_name_or_path": tmp_path, "gguf_file": path.name}
    read = AutoConfig.from_pretrained(**where)
    for name in ("hidden_size", "num_key_value_heads", "rope_parameters", "vocab_size"):
        assert getattr(read, name) == getattr(config, name)
    loaded = load_gguf_checkpoint(
        str(path), return_tensors=True, model_to_load=LlamaForCausalLM(read)
    )["tensors"]
    for name, tensor in small.state_dict().items():
        if name != "lm_head.weight":  # tied
            assert torch.equal(loaded[name], tensor), f"{name} came back different"
    line = "Hamlet, <|im_start|>prince of Denmark — 42"
    again = AutoTokenizer.from_pretrained(**where)
    assert again(line).input_ids == tokenizer(line).input_ids


def test_a_model_that_is_not_llama_is_refused(smollm2, tmp_path, tiny_llama):
    _, tokenizer = smollm2
    tiny_llama.config.model_type = "gpt2"
    with pytest.raises(ValueError, match="'gpt2', not Llama-shaped"):
        save_gguf(tiny_llama, tokenizer, tmp_path / "x.gguf")
    with pytest.raises(ValueError, match="kind='Q5_K'"):
        save_gguf(tiny_llama, tokenizer, tmp_path / "x.gguf", kind="Q5_K")
