"""Where a pass begins and where it ends: a token's embedding, and the token it chose.

    texts[m, lengths[m]]           the token of text m that the pass reads
    texts[m, lengths[m] + 1]       the token that it writes; then lengths[m] += 1

Both happen where the texts are, so that a pass can follow a pass without anybody
asking. The best of the runs is the first of equals: the same choice on every run.

Bytes a text: 2 K of the embedding, 10 K of h, g ⊙ h and squares; 8 a run of logits.

Read in order: `embedded`, `chosen`; their kernels are in ends_triton.py.
"""

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from lib.kernels.core.compiler import pdl_options, require_triton, widened
from lib.kernels.core.tiles import power_above
from lib.kernels.ends import ends_triton
from lib.kernels.ends.ends_triton import Ends
from lib.kernels.ends.product import BLOCK, Best, Stream, runs_of, stream_of


def embed_reference(
    texts: Int32[Tensor, "m capacity"],
    lengths: Int32[Tensor, " m"],
    table: Float[Tensor, "vocabulary n"],
    gain: Float[Tensor, " n"],
) -> list[Tensor]:
    """The rows of the table, as a stream."""
    tokens = texts.gather(1, lengths[:, None].long())[:, 0].long()
    made = stream_of(table[tokens].float(), gain, table.dtype)
    return [made.h, made.x, made.squares]


def embed_launch(
    texts: Tensor, lengths: Tensor, table: Tensor, gain: Tensor
) -> list[Tensor]:
    """The same by a kernel.

    ImportError without Triton; ValueError where no kernel reaches the texts.
    """
    require_triton(texts)
    (m, capacity), n, dtype = texts.shape, table.shape[1], table.dtype
    table, gain = table.to(widened(dtype)), gain.to(widened(dtype))
    h = table.new_empty(m, n, dtype=torch.float32)
    x, runs = table.new_empty(m, n), h.new_empty(m, runs_of(n))
    ends = Ends(table, table, gain, x, h, runs, table, 0.0)
    ends_triton.embed[(-(-n // BLOCK), m)](
        texts, lengths, table, ends, m, n, capacity, ROWS=BLOCK, **pdl_options(texts)
    )
    return [h, x.to(dtype), runs]


def choose_reference(
    best: Tensor, index: Tensor, texts: Tensor, lengths: Tensor, vocabulary: int
) -> None:
    """Write the best token behind every text, and count it."""
    run = best.argmax(1, keepdim=True)  # torch's, too, is the first of equals
    lengths += 1
    texts.scatter_(1, lengths[:, None].long(), index.gather(1, run))


def choose_launch(
    best: Tensor, index: Tensor, texts: Tensor, lengths: Tensor, vocabulary: int
) -> None:
    """The same by a kernel.

    ImportError without Triton; ValueError where no kernel reaches the texts.
    """
    require_triton(texts)
    (m, capacity), options = texts.shape, pdl_options(texts)
    options |= {"RUNS": power_above(best.shape[1]), "num_warps": 8}
    ends_triton.choose[(m,)](
        best, index, texts, lengths, vocabulary, capacity, **options
    )


def embedded(
    texts: Int32[Tensor, "m capacity"],
    lengths: Int32[Tensor, " m"],
    table: Float[Tensor, "vocabulary n"],
    gain: Float[Tensor, " n"],
) -> Stream:
    """The embeddings of the tokens at `lengths`, ready for a norm with this gain.

    ValueError for texts and lengths that do not fit, or are elsewhere than the table.
    """
    _check(texts, lengths)
    if table.device != texts.device or gain.shape != table.shape[1:]:
        raise ValueError(
            f"texts on {texts.device}, a table of {tuple(table.shape)} on "
            f"{table.device}, a gain of {tuple(gain.shape)}"
        )
    return Stream(*torch.ops.llm_compression.embed(texts, lengths, table, gain))


def chosen(
    best: Best,
    texts: Int32[Tensor, "m capacity"],
    lengths: Int32[Tensor, " m"],
    vocabulary: int,
) -> None:
    """Write the best token behind each text; ValueError as in `embedded`.

    No text may be full: nobody looks.
    """
    _check(texts, lengths)
    if best[0].shape != (len(texts), runs_of(vocabulary)):
        raise ValueError(
            f"logits of shape {tuple(best[0].shape)} for {len(texts)} texts of a "
            f"vocabulary of {vocabulary}"
        )
    torch.ops.llm_compression.choose(*best, texts, lengths, vocabulary)


def _check(texts: Tensor, lengths: Tensor) -> None:
    if len(texts) != len(lengths) or not texts.dtype == lengths.dtype == torch.int32:
        raise ValueError(
            f"{len(texts)} texts of {texts.dtype}, {len(lengths)} lengths of "
            f"{lengths.dtype}"
        )


torch.library.define(
    "llm_compression::embed",
    "(Tensor texts, Tensor lengths, Tensor table, Tensor gain) -> Tensor[]",
)
torch.library.define(
    "llm_compression::choose",
    "(Tensor best, Tensor index, Tensor(a!) texts, Tensor(b!) lengths, int vocabulary) "
    "-> ()",
)
torch.library.impl("llm_compression::embed", "CPU", embed_reference)
torch.library.impl("llm_compression::embed", "CUDA", embed_launch)
torch.library.impl("llm_compression::choose", "CPU", choose_reference)
torch.library.impl("llm_compression::choose", "CUDA", choose_launch)


@torch.library.register_fake("llm_compression::embed")
def _embed_shape(texts, lengths, table, gain) -> list[Tensor]:
    m, n = len(texts), table.shape[1]
    h = table.new_empty(m, n, dtype=torch.float32)
    return [h, table.new_empty(m, n), h.new_empty(m, runs_of(n))]


@torch.library.register_fake("llm_compression::choose")
def _choose_shape(best, index, texts, lengths, vocabulary) -> None:
    return None
