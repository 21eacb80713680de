"""A byte-pair vocabulary of 1,024 tokens, trained by the package `tokenizers`.

Every byte is a token, so that every text has tokens; the rest are the most frequent
joins. `<|end|>` is token 0.

Read in order: `fit_tokenizer`.
Source: Sennrich et al. 2016, arXiv:1508.07909.
"""

from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast

END = "<|end|>"


def fit_tokenizer(text: str, *, size: int = 1024) -> PreTrainedTokenizerFast:
    """Train on `text`; ValueError for fewer tokens than there are bytes."""
    if size <= 257:
        raise ValueError(f"size={size}: 256 bytes and {END} come first")
    learned = ByteLevelBPETokenizer()
    pieces = text.splitlines(keepends=True)
    learned.train_from_iterator(
        pieces, vocab_size=size, special_tokens=[END], show_progress=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=learned._tokenizer,
        eos_token=END,
        bos_token=END,
        pad_token=END,
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )
