"""What the course's own models learn from, and what they are measured on.

    plays          all but those held out by name (lib.data)
    Python's help  all topics but those of `HELD_OUT_TOPICS`, and of `REPEATED`, which
                   other topics contain word for word: they can't measure anything
    written        what a teacher adds to windows of both, and answers to questions

Read in order: `training_text`, `held_out_text`, `windows_of`, `written_by`,
`held_out_prompts`.
"""

from collections.abc import Sequence
from functools import partial
from pydoc_data.topics import topics

import torch
from jaxtyping import Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from lib.data.text import HELD_OUT, PLAYS, play
from lib.distill import prompts
from lib.distill.sequence import write

HELD_OUT_TOPICS = ("formatstrings", "import", "lambda")
REPEATED = ("class", "exceptions", "with")
DOMAINS = ("plays", "help", "chat")
PROMPT = 64  # tokens of a text that a teacher goes on with


def training_text() -> dict[str, str]:
    """Plays and topics to learn from, each domain as one text."""
    plays = [play(name) for name in PLAYS if name not in HELD_OUT]
    left_out = HELD_OUT_TOPICS + REPEATED
    help_ = [topics[title] for title in sorted(topics) if title not in left_out]
    return {"plays": "\n\n".join(plays), "help": "\n\n".join(help_)}


def held_out_text() -> dict[str, str]:
    """Plays and topics to measure on, by domain; topics of this Python's version."""
    plays = [play(name) for name in HELD_OUT]
    help_ = [topics[title] for title in HELD_OUT_TOPICS]
    return {"plays": "\n\n".join(plays), "help": "\n\n".join(help_)}


def windows_of(
    tokenizer: PreTrainedTokenizerBase, texts: dict[str, str], window: int
) -> dict[str, Int[Tensor, "n window"]]:
    """Each text's tokens, cut into windows that do not overlap; a short end goes."""
    cut = {}
    for name, text in texts.items():
        ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        count = len(ids) // window
        cut[name] = torch.tensor(ids[: count * window]).view(count, window)
    return cut


def written_by(
    teacher: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    *,
    count: int,
    new_tokens: int = 256,
    batch: int = 64,
    seed: int = 0,
) -> list[list[int]]:
    """Texts, each a prompt and what the teacher adds, greedily and by a draw.

    `count` prompts of each kind, or as many as there are: windows of plays, windows of
    Python's help, questions made from forms, and questions of the teacher's own.
    """
    stop = tokenizer.eos_token_id
    go_on = partial(write, teacher, stop=stop, batch=batch)
    cut = windows_of(tokenizer, training_text(), PROMPT)
    draw = torch.Generator().manual_seed(seed)
    starts = [
        windows[torch.randperm(len(windows), generator=draw)[:count]].tolist()
        for windows in cut.values()
    ]
    begun = prompts.opening(tokenizer)
    asked = go_on([begun] * count, 96, temperature=1.0, seed=seed)
    turn = tokenizer("\n<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
    own = [[*begun, *text, *turn] for text in asked if text[-1] == stop]
    made = prompts.chat(tokenizer, prompts.questions(seed)[:count])
    everything = [*starts[0], *starts[1], *made, *own]
    texts = []
    for temperature in (0.0, 1.0):
        added = go_on(everything, new_tokens, temperature=temperature, seed=seed + 1)
        texts += [[*p, *new] for p, new in zip(everything, added, strict=True)]
    return texts


def packed(
    texts: Sequence[Sequence[int]], window: int, seed: int = 0
) -> Int[Tensor, "n window"]:
    """Texts one behind another, in a drawn order, cut into windows."""
    draw = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(texts), generator=draw).tolist()
    ids = torch.tensor([token for i in order for token in texts[i]])
    return ids[: len(ids) // window * window].view(-1, window)


def held_out_prompts(
    tokenizer: PreTrainedTokenizerBase, *, count: int = 24, length: int = PROMPT
) -> dict[str, list[list[int]]]:
    """`count` prompts of each of the three domains, never trained on.

    ValueError for more than there are.
    """
    found = {}
    for name, windows in windows_of(tokenizer, held_out_text(), length).items():
        if len(windows) < count:
            raise ValueError(f"{count} of {len(windows)} windows of {name}")
        found[name] = windows[:: len(windows) // count][:count].tolist()
    if count > len(prompts.HELD_OUT):
        raise ValueError(f"{count} of {len(prompts.HELD_OUT)} questions")
    found["chat"] = prompts.chat(tokenizer, prompts.HELD_OUT[:count])
    return found
