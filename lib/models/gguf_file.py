"""A Llama-shaped model as a GGUF file that transformers, llama.cpp and others load.

The package `gguf` writes the container; the blocks are lib/quant/gguf.py's. Two things
are easy to get wrong. Llama's GGUF files pair the rotary dimensions as (0, 1), (2, 3),
…, while transformers pairs d with d + D/2, so the rows of q and k are permuted. And a
tensor whose rows are not whole blocks needs another kind: here `fallback`, by name,
never silently (`save_gguf` returns the kind of each tensor).

Read in order: `save_gguf`, `rotary_rows`, `NAMES`.  Taught in notebooks/06.
"""

import json
from collections import Counter
from pathlib import Path

from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

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
) -> Counter[str]:
    """Write `model` with its linear layers as `kind`; return how many tensors are what.

    Rows that are not whole blocks of `kind` become `fallback`; vectors stay fp32. The
    model must be dense (`packed_file.dense`) and Llama-shaped, else ValueError.
    """
    for name in (kind, fallback, embeddings):
        if name not in BLOCKS:
            raise ValueError(f"kind={name!r} is not one of {', '.join(BLOCKS)}")
    if model.config.model_type != "llama":
        raise ValueError(f"the model is {model.config.model_type!r}, not Llama-shaped")
    writer = GGUFWriter(path, "llama")
    _write_facts(writer, model.config, kind)
    _write_tokenizer(writer, tokenizer, model.config.vocab_size)
    kinds: Counter[str] = Counter()
    tied = model.config.tie_word_embeddings
    state = {
        n: t for n, t in model.state_dict().items() if not (tied and "lm_head" in n)
    }
    for name, tensor in progress(state.items(), "writing", total=len(state)):
        w = _rows_for_gguf(name, tensor.float(), model.config)
        wanted = embeddings if name.startswith(("model.embed", "lm_head")) else kind
        kinds[_write_tensor(writer, _gguf_name(name), w, wanted, fallback)] += 1
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return kinds


def _write_tensor(
    writer: GGUFWriter, name: str, w: Tensor, kind: str, fallback: str
) -> str:
    """Queue one tensor; return the kind that it got."""
    if w.ndim == 1:
        writer.add_tensor(name, w.numpy())
        return "F32"
    kind = kind if w.shape[1] % BLOCKS[kind].weights == 0 else fallback
    raw = encode(w, kind).numpy()
    writer.add_tensor(name, raw, raw_dtype=GGMLQuantizationType[kind])
    return kind


def rotary_rows(
    w: Float[Tensor, "rows cols"], heads: int
) -> Float[Tensor, "rows cols"]:
    """Rows of each head from (first half, second half) to pairs, as GGUF wants them."""
    return w.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)


def _rows_for_gguf(name: str, w: Tensor, config: object) -> Tensor:
    """q and k with their rows paired; everything else as it is."""
    if name.endswith("q_proj.weight"):
        return rotary_rows(w, config.num_attention_heads)
    if name.endswith("k_proj.weight"):
        return rotary_rows(w, config.num_key_value_heads)
    return w


def _gguf_name(name: str) -> str:
    """GGUF's name: model.layers.3.mlp.up_proj.weight becomes blk.3.ffn_up.weight."""
    stem, _, kind = name.rpartition(".")
    prefix = ""
    if stem.startswith("model.layers."):
        _, _, number, stem = stem.split(".", 3)
        prefix = f"blk.{number}."
    if stem not in NAMES:
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
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(FILE_TYPES[kind])


def _write_tokenizer(
    writer: GGUFWriter, tokenizer: PreTrainedTokenizerBase, size: int
) -> None:
    """The byte-pair vocabulary, its merges, and the special tokens."""
    inner = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = tokenizer.get_vocab()
    if inner["model"]["type"] != "BPE" or len(vocabulary) != size:
        raise ValueError(
            f"a {inner['model']['type']} tokenizer of {len(vocabulary)} tokens; "
            f"byte pairs and the model's {size} tokens are needed"
        )
    tokens = sorted(vocabulary, key=vocabulary.get)
    special = set(tokenizer.all_special_tokens)
    special |= {t["content"] for t in inner["added_tokens"] if t["special"]}
    kinds = [TokenType.CONTROL if t in special else TokenType.NORMAL for t in tokens]
    merges = inner["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_unk_token_id(tokenizer.unk_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)
