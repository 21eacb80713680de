"""A GGUF file of a Llama, read and run as the format's description has it.

Written apart from what it tests: rotations turn neighbours (2i, 2i + 1), by the keys
and tensors of the file alone; nothing of transformers is used.
"""

import math

import gguf
import torch
from torch.nn.functional import linear, silu


class Reader:
    """The numbers and tensors of a file."""

    def __init__(self, path):
        file = gguf.GGUFReader(path)
        self.tensors = {
            t.name: torch.tensor(gguf.dequantize(t.data, t.tensor_type))
            for t in file.tensors
        }
        self.fields = {name: field.contents() for name, field in file.fields.items()}

    def __getitem__(self, key):
        return self.fields.get(f"llama.{key}")

    def logits(self, ids):
        """Of one sequence, (tokens, vocabulary)."""
        eps = self["attention.layer_norm_rms_epsilon"]

        def norm(h, name):
            mean = h.square().mean(-1, keepdim=True)
            return h * (mean + eps).rsqrt() * self.tensors[name]

        def apply(h, name):
            bias = self.tensors.get(f"{name}.bias")
            return linear(h, self.tensors[f"{name}.weight"], bias)

        h = self.tensors["token_embd.weight"][ids]
        for n in range(self["block_count"]):
            x = norm(h, f"blk.{n}.attn_norm.weight")
            q, k, v = (apply(x, f"blk.{n}.attn_{part}") for part in "qkv")
            h = h + apply(self.attention(q, k, v), f"blk.{n}.attn_output")
            x = norm(h, f"blk.{n}.ffn_norm.weight")
            gate, up = (apply(x, f"blk.{n}.ffn_{part}") for part in ("gate", "up"))
            h = h + apply(silu(gate) * up, f"blk.{n}.ffn_down")
        h = norm(h, "output_norm.weight")
        head = self.tensors.get("output.weight", self.tensors["token_embd.weight"])
        return h @ head.T

    def attention(self, q, k, v):
        heads, groups = self["attention.head_count"], self["attention.head_count_kv"]
        width = self["attention.key_length"] or self["embedding_length"] // heads
        q = self.turned(q.unflatten(1, (heads, width)))
        k = self.turned(k.unflatten(1, (groups, width)))
        k, v = (
            t.repeat_interleave(heads // groups, 1)
            for t in (k, v.unflatten(1, (groups, -1)))
        )
        scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(width)
        later = torch.ones(len(q), len(q)).triu(1).bool()
        weights = scores.masked_fill(later, -torch.inf).softmax(-1)
        return torch.einsum("hqk,khd->qhd", weights, v).flatten(1)

    def turned(self, x):
        """Each pair of neighbours by its angle."""
        frequencies, size = self.frequencies()
        angles = torch.arange(len(x))[:, None, None] * frequencies  # (tokens, 1, pairs)
        a, b = x[..., ::2], x[..., 1::2]
        cos, sin = angles.cos() * size, angles.sin() * size
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)

    def frequencies(self):
        """Of each pair, and what cosines and sines are multiplied by."""
        base, width = self["rope.freq_base"], self["rope.dimension_count"]
        i = torch.arange(width // 2)
        plain = base ** (-2.0 * i / width)
        if "rope_freqs.weight" in self.tensors:
            plain = plain / self.tensors["rope_freqs.weight"]
        kind, factor = self["rope.scaling.type"], self["rope.scaling.factor"]
        if kind is None:
            return plain, 1.0
        if kind == "linear":
            return plain / factor, 1.0
        start, end = (
            width * math.log(self["rope.scaling.original_context_length"] / turns)
            / (2 * math.log(base))
            for turns in (
                2 * math.pi * self["rope.scaling.yarn_beta_fast"],
                2 * math.pi * self["rope.scaling.yarn_beta_slow"],
            )
        )  # fmt: skip
        start, end = max(0, math.floor(start)), min(width - 1, math.ceil(end))
        kept = 1 - ((i - start) / max(0.001, end - start)).clamp(0, 1)
        mixed = plain / factor * (1 - kept) + plain * kept
        return mixed, 1 + 0.1 * math.log(factor)
