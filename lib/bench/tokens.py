"""Tokens a second of a whole model, its linear layers in one format after another.

    python -m lib.bench.tokens                 # on a GPU: SmolLM2's and a 7B's shape
    python -m lib.bench.tokens --shapes tiny   # anywhere: no claims

A token needs every weight once, but of the embeddings one row: so its least time is
the bytes of layers, norms and head over the bandwidth. Weights are random (speed does
not read them), the cache is static, and a step is one CUDA graph, where the format can
be captured; and without a graph, so that what cannot is compared with its like.

Each model is measured by a process of its own: what one does to the GPU, or to torch's
random numbers, harms no other.

Without a graph a step is as slow as the host's Python: compare such figures within one
shape only, whose rows come from one run.

Read in order: `SHAPES`, `FORMATS`, `Decoder`, `measure`, `quantize`, `apart`.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, StaticCache

from lib.bench.record import commit_here, recall, record
from lib.bench.timing import bandwidth
from lib.layers.int8 import Int8Linear
from lib.layers.packed import PackedLinear
from lib.models.walk import linear_layers, replace_layer
from lib.quant.codebooks.normal_float import quantize_4bit
from lib.quant.uniform.grouped import round_to_nearest

SHAPES = {  # hidden, intermediate, layers, heads, key-value heads, vocabulary
    "smollm2": (576, 1536, 30, 9, 3, 49152),
    "llama-7b": (4096, 11008, 32, 32, 32, 32000),
    "tiny": (256, 512, 2, 4, 2, 1000),
}
TIED = ("smollm2",)  # the head is the embeddings
PROMPT, RUNS = 32, 3
EAGER = 32  # steps without a graph, at most
Maker = Callable[[nn.Linear], nn.Module]


def random_model(
    shape: str, *, dtype: torch.dtype, device: str, capacity: int
) -> LlamaForCausalLM:
    """A Llama of that shape with normal weights, never on any other device."""
    hidden, intermediate, layers, heads, groups, vocabulary = SHAPES[shape]
    config = LlamaConfig(
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        vocab_size=vocabulary,
        max_position_embeddings=max(capacity, 512),
        tie_word_embeddings=shape in TIED,
        dtype=dtype,
    )
    torch.manual_seed(0)
    with torch.device(device):
        model = LlamaForCausalLM(config).to(dtype)
    return model.eval().requires_grad_(False)


def int4(layer: nn.Linear) -> nn.Module:
    """Our kernel on symmetric groups of 128 (of 64 where 128 does not divide)."""
    group = 128 if layer.in_features % 128 == 0 else 64
    w = layer.weight.float()
    return PackedLinear.from_quantized(
        round_to_nearest(w, bits=4, group=group, symmetric=True)
    )


def int8(layer: nn.Linear) -> nn.Module:
    """Our kernel on LLM.int8() with threshold 6."""
    return Int8Linear(layer)


def nf4(layer: nn.Linear) -> nn.Module:
    """Our kernel on NF4 with double quantization."""
    return PackedLinear.from_quantized(quantize_4bit(layer.weight.half(), double=True))


def bitsandbytes_nf4(layer: nn.Linear) -> nn.Module:
    """bitsandbytes' layer in NF4 with double quantization, as transformers loads it."""
    from bitsandbytes import nn as bnb

    w = layer.weight
    new = bnb.Linear4bit(*w.T.shape, bias=False, compute_dtype=w.dtype)
    new.weight = bnb.Params4bit(
        w.cpu(), requires_grad=False, quant_type="nf4", compress_statistics=True
    )
    return new.to(w.device)


def bitsandbytes_int8(layer: nn.Linear) -> nn.Module:
    """bitsandbytes' LLM.int8() with threshold 6, as transformers loads it."""
    from bitsandbytes import nn as bnb

    w = layer.weight
    new = bnb.Linear8bitLt(
        *w.T.shape, bias=False, has_fp16_weights=False, threshold=6.0
    )
    new.weight = bnb.Int8Params(
        w.cpu().half(), requires_grad=False, has_fp16_weights=False
    )
    return new.to(w.device)


class TinyGemm(nn.Module):
    """torch's own 4-bit product, in groups of 128 and bf16, which is what it takes."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.group = 128 if layer.in_features % 128 == 0 else 64
        grouped = round_to_nearest(layer.weight.float(), bits=4, group=self.group)
        codes, grid = grouped.codes.to(torch.uint8), grouped.grid
        pairs = codes[:, 0::2] << 4 | codes[:, 1::2]
        inner = 8 if layer.in_features % 128 == 0 else 4
        packed = torch.ops.aten._convert_weight_to_int4pack(pairs, inner)
        scale = grid.scale.T
        middle = (8 - grid.zero.T) * scale  # it adds this to scale * (code - 8)
        both = torch.stack([scale, middle], -1).to(torch.bfloat16).contiguous()
        self.register_buffer("codes", packed)
        self.register_buffer("grids", both)

    def forward(self, x: Float[Tensor, "batch tokens cols"]) -> Float[Tensor, "..."]:
        """y in the dtype of x."""
        rows = x.flatten(0, -2).to(torch.bfloat16)
        y = torch.ops.aten._weight_int4pack_mm(rows, self.codes, self.group, self.grids)
        return y.view(*x.shape[:-1], -1).to(x.dtype)


@dataclass(frozen=True)
class Format:
    """How its layers are made, and whether a graph can hold a step of them."""

    make: Maker | None = None
    graph: bool = True


FORMATS = {
    "fp16": Format(),
    "int4": Format(int4),
    "nf4": Format(nf4),
    "int8": Format(int8),
    "bitsandbytes nf4": Format(bitsandbytes_nf4),
    "bitsandbytes int8": Format(bitsandbytes_int8, graph=False),  # reads a count
    "torch int4": Format(TinyGemm),
}


class Decoder:
    """A model, its static cache, and the step from one token to the next."""

    def __init__(self, model: LlamaForCausalLM, capacity: int) -> None:
        self.model, device = model, model.device
        self.cache = StaticCache(config=model.config, max_cache_len=capacity)
        self.token = torch.zeros(1, 1, dtype=torch.long, device=device)
        self.graph: torch.cuda.CUDAGraph | None = None

    @torch.inference_mode()
    def prefill(self, ids: Int[Tensor, "1 prompt"]) -> None:
        """Fill the cache with a prompt and choose the first new token."""
        self.cache.reset()
        self._choose(self.model(ids, past_key_values=self.cache).logits)

    def _choose(self, logits: Float[Tensor, "1 tokens vocabulary"]) -> None:
        self.token.copy_(logits[:, -1:].argmax(-1))

    @torch.inference_mode()
    def step(self) -> None:
        """Feed the last token; the next one takes its place."""
        if self.graph:
            self.graph.replay()
        else:
            self._choose(self.model(self.token, past_key_values=self.cache).logits)

    @torch.inference_mode()
    def capture(self, ids: Int[Tensor, "1 prompt"]) -> None:
        """Record a step as a CUDA graph; whatever forbids that is raised."""
        self.prefill(ids)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                self.step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step()
        self.graph = graph

    def decode(self, ids: Int[Tensor, "1 prompt"], count: int) -> list[Tensor]:
        """The next `count` tokens, greedily."""
        self.prefill(ids)
        tokens = [self.token.clone()]
        for _ in range(count - 1):
            self.step()
            tokens.append(self.token.clone())
        return tokens


@dataclass
class Row:
    """One model in one format."""

    shape: str
    format: str
    tokens_per_s: float | None = None  # by a graph
    eager_tokens_per_s: float | None = None
    of_floor: float | None = None  # by a graph, or else without
    linear_bytes: int = 0  # of the replaced layers, and norms
    read_bytes: int = 0  # for a token: with the head
    all_bytes: int = 0  # with embeddings
    peak_bytes: int | None = None  # of the device, while decoding
    error: str | None = None
    commit: str = ""  # of the code


def held(module: nn.Module) -> int:
    """Bytes of parameters and buffers, and what hangs on them, each once."""
    own = (*module.parameters(), *module.buffers())
    tensors = {t.data_ptr(): t for one in own for t in (one, *_constants(one))}
    return sum(tensor.nbytes for tensor in tensors.values())


def _constants(parameter: Tensor) -> Iterator[Tensor]:
    """What bitsandbytes keeps beside codes: constants, their constants, levels."""
    state, scales = (getattr(parameter, name, None) for name in ("quant_state", "SCB"))
    parts = [scales]
    while state is not None:
        parts += [state.absmax, state.code, state.offset]
        state = state.state2
    yield from (part for part in parts if isinstance(part, Tensor))


def measure(shape: str, name: str, device: str, count: int) -> Row:
    """Build, replace layer by layer, decode `RUNS` times, without a graph and with."""
    row, gpu = Row(shape, name), device == "cuda"
    capacity, made = PROMPT + count + 8, FORMATS[name]
    dtype = torch.float16 if gpu else torch.float32
    try:
        model = random_model(shape, dtype=dtype, device=device, capacity=capacity)
        if made.make:
            quantize(model, made.make)
        row.all_bytes = held(model)
        row.linear_bytes = held(model.model.layers)
        row.read_bytes = sum(map(held, (model.model.norm, model.lm_head)))
        row.read_bytes += row.linear_bytes
        ids = torch.arange(PROMPT, device=device)[None]
        decoder = Decoder(model, capacity)
        if gpu:
            torch.cuda.reset_peak_memory_stats()
        row.eager_tokens_per_s = _speed(decoder, ids, min(count, EAGER))
        if gpu and made.graph:
            decoder.capture(ids)
            row.tokens_per_s = _speed(decoder, ids, count)
        if gpu:
            row.peak_bytes = torch.cuda.max_memory_allocated()
            best = row.tokens_per_s or row.eager_tokens_per_s
            row.of_floor = row.read_bytes / bandwidth() / 1e6 * best
    except Exception as problem:
        row.error = f"{type(problem).__name__}: {problem}".splitlines()[0][:160]
    return row


def quantize(model: LlamaForCausalLM, make: Maker) -> None:
    """Replace every linear layer, one of each shape made and the others copies of it.

    The weights are random anyway, and each copy has memory of its own to be read.
    """
    made: dict[torch.Size, nn.Module] = {}
    for name, layer in linear_layers(model).items():
        shape = layer.weight.shape
        new = copy.deepcopy(made[shape]) if shape in made else make(layer)
        made.setdefault(shape, new)
        replace_layer(model, name, new)


def apart(shape: str, name: str, device: str, count: int) -> Row:
    """`measure` by a process of its own; a row with an error where that dies."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(measure, shape, name, device, count).result()
        except Exception as problem:
            return Row(shape, name, error=repr(problem)[:160])


def _speed(decoder: Decoder, ids: Tensor, count: int) -> float:
    """Median tokens a second."""
    return count / statistics.median(_seconds(decoder, ids, count) for _ in range(RUNS))


def _seconds(decoder: Decoder, ids: Tensor, count: int) -> float:
    """Wall time of `count` steps after the prompt."""
    decoder.prefill(ids)
    _synchronize()
    began = time.perf_counter()
    for _ in range(count):
        decoder.step()
    _synchronize()
    return time.perf_counter() - began


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    """Print the table as it grows, and keep it."""
    gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(
        prog="python -m lib.bench.tokens", description=__doc__.splitlines()[0]
    )
    default = ["smollm2", "llama-7b"] if gpu else ["tiny"]
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=default)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--tokens", type=int, default=128 if gpu else 4)
    parser.add_argument("--commit", help="of this code, where git cannot say")
    options = parser.parse_args()
    how = (
        f"greedy decoding of {options.tokens} tokens (eager: at most {EAGER}) after a "
        f"prompt of {PROMPT}, batch 1, static cache, median of {RUNS}, a process each; "
    )
    how += "one CUDA graph a step, and without" if gpu else "CPU: no claims"
    kept, device = ("decode", "cuda") if gpu else ("decode_cpu", "cpu")
    commit = options.commit or commit_here()
    rows = earlier(kept, options.shapes)
    for shape in options.shapes:
        for name in options.formats:
            row = apart(shape, name, device, options.tokens)
            rows.append(asdict(replace(row, commit=commit)))
            print(line(row), flush=True)
            record(kept, {"rows": rows}, protocol=how, commit=options.commit)


def earlier(kept: str, shapes: list[str]) -> list[dict[str, Any]]:
    """Rows that an earlier run kept of other shapes: those of one are one run's."""
    try:
        rows = recall(kept).results["rows"]
    except ValueError:  # there was none
        return []
    return [row for row in rows if row["shape"] not in shapes]


def line(row: Row) -> str:
    """The row in words."""
    text = f"{row.shape} {row.format:18}"
    for way, speed in (("graph", row.tokens_per_s), ("eager", row.eager_tokens_per_s)):
        text += f" {speed:8.1f} tokens/s {way}" if speed else ""
    text += f" {row.of_floor:5.2f} of floor" if row.of_floor else ""
    return f"{text} {row.linear_bytes / 1e6:9.1f} MB of layers {row.error or ''}"


if __name__ == "__main__":
    main()
