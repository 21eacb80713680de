"""A Llama-shaped model as a GGUF file that transformers, llama.cpp and others load.

The package `gguf` writes the container; the blocks are lib/quant/gguf.py's. Three
things are easy to get wrong. Llama's GGUF files pair the rotary dimensions as (0, 1),
(2, 3), …, while transformers pairs d with d + D/2, so the rows of q and k are permuted,
and so are their biases. A tensor whose rows are not whole blocks needs another kind:
here `fallback` (`save_gguf` returns the kind of each tensor). And rotations that were
stretched for a longer context are part of the model: linear and YaRN are keys, Llama
3's a tensor that divides each frequency. What the format has no place for is refused.

Read in order: `save_gguf`, `rotary_rows`, `NAMES`, `rope_divisors`.  Taught in
notebooks/06.
Source: the ggml project's description of GGUF; what llama.cpp reads for `llama`.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from gguf import (
    GGMLQuantizationType,
    GGUFWriter,
    LlamaFileType,
    RopeScalingType,
    TokenType,
)
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from lib.layers.packed import PackedLinear
from lib.models.llama import head_dim
from lib.models.rotate.online import online_parts
from lib.progress import progress
from lib.quant.gguf import BLOCKS, encode

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
FILE_TYPES = {
    "Q8_0": LlamaFileType.MOSTLY_Q8_0,
    "Q4_0": LlamaFileType.MOSTLY_Q4_0,
    "Q4_1": LlamaFileType.MOSTLY_Q4_1,
    "Q4_K": LlamaFileType.MOSTLY_Q4_K_S,
}


def save_gguf(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    path: Path,
    *,
    kind: str = "Q4_1",
    fallback: str = "Q4_1",
    embeddings: str = "Q8_0",
    pretokenizer: str = "smollm",
) -> Counter[str]:
    """Write `model` with its linear layers as `kind`; return how many tensors are what.

    Rows that are not whole blocks of `kind` become `fallback`; vectors stay fp32.
    `pretokenizer` is how llama.cpp cuts a text before it merges bytes: "gpt-2",
    "llama-bpe", "qwen2", … The file appears whole or not at all. ValueError unless the
    model is dense (`packed_file.dense`) and plain Llama, for a rotation or a tokenizer
    that the format cannot hold, and with a tensor's name for what its blocks refuse.
    """
    for name in (kind, fallback, embeddings):
        if name not in BLOCKS:
            raise ValueError(f"kind={name!r} is not one of {', '.join(BLOCKS)}")
    _check_model(model)
    with _whole_file(Path(path)) as draft:
        writer = GGUFWriter(draft, "llama")
        _write_facts(writer, model.config, kind)
        _write_tokenizer(writer, tokenizer, model.config.vocab_size, pretokenizer)
        kinds: Counter[str] = Counter()
        state = _tensors(model)
        for name, tensor in progress(state.items(), "writing", total=len(state)):
            w = _rows_for_gguf(name, tensor.float(), model.config)
            wanted = embeddings if name.startswith(("model.embed", "lm_head")) else kind
            try:
                kinds[_write_tensor(writer, _gguf_name(name), w, wanted, fallback)] += 1
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return kinds


def _check_model(model: PreTrainedModel) -> None:
    """ValueError for what is no dense, plain Llama."""
    config = model.config
    if config.model_type != "llama":
        raise ValueError(f"the model is {config.model_type!r}, not Llama-shaped")
    if packed := [n for n, m in model.named_modules() if isinstance(m, PackedLinear)]:
        raise ValueError(
            f"{len(packed)} layers are packed, first {packed[0]}: call `dense(model)` "
            "of lib.models.packed_file first"
        )
    if parts := online_parts(model):
        raise ValueError(
            f"{len(parts)} parts work online, first {next(iter(parts))}: a GGUF file "
            "has no word for them"
        )
    if config.hidden_act != "silu":
        raise ValueError(f"hidden_act={config.hidden_act!r}: GGUF's llama has silu")


def _tensors(model: PreTrainedModel) -> dict[str, Tensor]:
    """The model's state, a tied head left out, and what divides its frequencies."""
    state = dict(model.state_dict())
    if model.lm_head.weight is model.model.embed_tokens.weight:
        del state["lm_head.weight"]
    if divisors := rope_divisors(model.config):
        state["rope_freqs.weight"] = torch.tensor(divisors)
    return state


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """A draft beside `path`, renamed where all went well, else removed."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _write_tensor(
    writer: GGUFWriter, name: str, w: Tensor, kind: str, fallback: str
) -> str:
    """Queue one tensor; return the kind that it got."""
    if w.ndim == 1:
        writer.add_tensor(name, w.numpy())
        return "F32"
    if w.shape[1] % BLOCKS[kind].weights:
        kind = fallback
    raw = encode(w, kind).numpy()
    writer.add_tensor(name, raw, raw_dtype=GGMLQuantizationType[kind])
    return kind


def rotary_rows(w: Float[Tensor, "rows *cols"], heads: int) -> Float[Tensor, "..."]:
    """Rows of each head from (first half, second half) to pairs, as GGUF wants them."""
    return w.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)


def _rows_for_gguf(name: str, w: Tensor, config: object) -> Tensor:
    """q and k, weights and biases, with their rows paired; all else as it is."""
    if ".q_proj." in name:
        return rotary_rows(w, config.num_attention_heads)
    if ".k_proj." in name:
        return rotary_rows(w, config.num_key_value_heads)
    return w


def _gguf_name(name: str) -> str:
    """GGUF's name: model.layers.3.mlp.up_proj.weight becomes blk.3.ffn_up.weight."""
    if name == "rope_freqs.weight":
        return name
    stem, _, kind = name.rpartition(".")
    prefix = ""
    if stem.startswith("model.layers."):
        _, _, number, stem = stem.split(".", 3)
        prefix = f"blk.{number}."
    if stem not in NAMES or kind not in ("weight", "bias"):
        raise ValueError(
            f"no GGUF name for {name}: is the model dense and plain Llama?"
        )
    return f"{prefix}{NAMES[stem]}.{kind}"


def _write_facts(writer: GGUFWriter, config: object, kind: str) -> None:
    """The sizes that a reader needs to build the model."""
    writer.add_name(Path(config.name_or_path or "model").name)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(head_dim(config))
    writer.add_key_length(head_dim(config))  # a head may be wider than its share
    writer.add_value_length(head_dim(config))
    _write_rope_scaling(writer, config)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(FILE_TYPES[kind])


def _write_rope_scaling(writer: GGUFWriter, config: PreTrainedConfig) -> None:
    """Linear and YaRN scaling as keys; ValueError for what neither keys nor
    `rope_divisors` can say."""
    rope = config.rope_parameters
    kind, factor = rope.get("rope_type", "default"), rope.get("factor")
    if rope.get("partial_rotary_factor", 1) != 1:
        raise ValueError(f"rope_parameters={rope} turn a part of each head only")
    if kind in ("default", "llama3"):
        return
    if kind not in ("linear", "yarn"):
        raise ValueError(f"rope_type={kind!r} has no place in a GGUF file of a Llama")
    writer.add_rope_scaling_type(RopeScalingType(kind))
    writer.add_rope_scaling_factor(factor)
    if kind == "yarn":
        _, attention = ROPE_INIT_FUNCTIONS["yarn"](config, "cpu")
        usual = 0.1 * math.log(factor) + 1  # what llama.cpp multiplies by
        if abs(attention - usual) > 1e-6 or not rope.get("truncate", True):
            raise ValueError(
                f"rope_parameters={rope}: llama.cpp's YaRN has truncate=True and an "
                f"attention factor of {usual:.4f}, not {attention:.4f}"
            )
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        writer.add_rope_scaling_yarn_beta_fast(rope.get("beta_fast") or 32.0)
        writer.add_rope_scaling_yarn_beta_slow(rope.get("beta_slow") or 1.0)


def rope_divisors(config: PreTrainedConfig) -> list[float]:
    """What Llama 3 divides each frequency θ^(−2i/D) by, i = 0 … D/2 − 1; else []."""
    rope, width = config.rope_parameters, head_dim(config)
    if rope.get("rope_type") != "llama3":
        return []
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    plain = [rope["rope_theta"] ** (-2 * i / width) for i in range(width // 2)]
    return [p / s for p, s in zip(plain, scaled.tolist(), strict=True)]


def _write_tokenizer(
    writer: GGUFWriter, tokenizer: PreTrainedTokenizerBase, size: int, cut: str
) -> None:
    """The byte-pair vocabulary, its merges, and the special tokens that there are."""
    inner = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = tokenizer.get_vocab()
    if inner["model"]["type"] != "BPE" or len(vocabulary) != size:
        raise ValueError(
            f"a {inner['model']['type']} tokenizer of {len(vocabulary)} tokens; "
            f"byte pairs and the model's {size} tokens are needed"
        )
    if "Regex" in json.dumps(inner["pre_tokenizer"]) and cut in ("smollm", "gpt-2"):
        raise ValueError(
            f"the tokenizer cuts by an expression of its own, not as {cut!r}: say "
            "`pretokenizer`, as llama.cpp calls it"
        )
    tokens = sorted(vocabulary, key=vocabulary.get)
    special = set(tokenizer.all_special_tokens)
    special |= {t["content"] for t in inner["added_tokens"] if t["special"]}
    kinds = [TokenType.CONTROL if t in special else TokenType.NORMAL for t in tokens]
    merges = inner["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(cut)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    for role in ("bos", "eos", "unk", "pad"):
        if (token := getattr(tokenizer, f"{role}_token_id")) is not None:
            getattr(writer, f"add_{role}_token_id")(token)
    first = tokenizer("a").input_ids[0]
    writer.add_add_bos_token(first == tokenizer.bos_token_id)
    writer.add_add_space_prefix(False)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)
