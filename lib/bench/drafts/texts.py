"""The prompts of the benchmarks of speculative decoding.

Prompts of three kinds: places in the four held-out plays, places in Python's help, and
questions in SmolLM2's chat format. The first two are 64 tokens long.
"""

from transformers import PreTrainedTokenizerBase

from lib.data.text import HELD_OUT, play, python_docs, token_windows

PROMPT = 64  # tokens
QUESTIONS = (
    "Explain why the sky is blue.",
    "Write a short story about a lighthouse keeper.",
    "How do I make a good cup of coffee?",
    "What is the difference between a list and a tuple in Python?",
    "Give me three tips for learning a language.",
    "Who was Marie Curie, and what is she known for?",
    "Plan a weekend in a city that has many museums.",
    "Write an email in which I ask for a day off.",
    "What causes the tides?",
    "Describe how bread is baked, step by step.",
    "Summarize the plot of Romeo and Juliet.",
    "Why do leaves change their colour in autumn?",
)
KINDS = ("plays", "python", "chat")


def prompts_of(
    kind: str, tokenizer: PreTrainedTokenizerBase, *, per_text: int = 3
) -> list[list[int]]:
    """The token ids of four times `per_text` prompts. ValueError for no such kind."""
    if kind == "chat":
        chats = ([{"role": "user", "content": question}] for question in QUESTIONS)
        how = {"tokenize": True, "add_generation_prompt": True, "return_dict": False}
        ids = [tokenizer.apply_chat_template(chat, **how) for chat in chats]
        return ids[: 4 * per_text]
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is none of {', '.join(KINDS)}")
    counts = {name: per_text for name in HELD_OUT} if kind == "plays" else {}
    prompts = []
    for name, count in (counts or {"python": 4 * per_text}).items():
        text = python_docs() if name == "python" else play(name)
        windows = token_windows(text, tokenizer, window=PROMPT)
        places = [(2 * i + 1) * len(windows) // (2 * count) for i in range(count)]
        prompts += windows[places].tolist()
    return prompts
