"""Questions for a chat model: a form and a topic, and the model's own questions.

    "Explain {topic} to a ten-year-old."  ×  tides, bread, the printing press, …

Every form meets every topic once; their order is drawn from a seed. A model that was
trained on conversations also asks by itself, where it reads no more than the opening of
a user's turn: `opening`. Those questions are spread as the model's training was.

`HELD_OUT` is for measuring: questions with forms and topics of their own, never trained
on.

Read in order: `questions`, `opening`, `chat`, `HELD_OUT`.
Source: questions by the model itself: Xu et al. 2024, "Magpie", arXiv:2406.08464.
"""

import random
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

FORMS = (
    "Explain {} to a ten-year-old.",
    "What is {}?",
    "Why does {} matter?",
    "Give me three facts about {}.",
    "Write a short story about {}.",
    "Write a poem about {}.",
    "What are the advantages and disadvantages of {}?",
    "Summarize the history of {} in one paragraph.",
    "List five questions that a student might ask about {}.",
    "Write an email to a friend who wants to learn about {}.",
    "Describe {} in two sentences.",
    "What is a common mistake that people make about {}?",
    "How would you teach {} in a school?",
    "Compare {} with something that it resembles.",
    "Write a short dialogue between two people who talk about {}.",
    "Give step-by-step instructions for a beginner in {}.",
    "Write a Python function that has something to do with {}, and explain it.",
    "What will change about {} in the next fifty years?",
    "Write a title and an opening paragraph for an article on {}.",
    "Who should care about {}, and why?",
)
TOPICS = """
tides; bread; the printing press; bicycles; photosynthesis; gardening; chess; bridges;
the solar system; volcanoes; honey bees; libraries; maps; the violin; electricity;
vaccines; coffee; clouds; the alphabet; glass; whales; railways; soap; magnets; rivers;
the human heart; cheese; paper; clocks; forests; spreadsheets; prime numbers; sorting;
recursion; databases; the internet; encryption; software testing; probability;
fractions; negotiation; budgeting; public speaking; friendship; patience; sleep;
running; swimming; yoga; cooking rice; tea; salt; chocolate; potatoes; olive oil;
spices; fishing; weaving; pottery; painting; photography; theatre; jazz; opera; film;
poetry; novels; newspapers; democracy; taxes; trade; money; inflation; insurance;
cities; villages; farming; water; recycling; wind power; solar panels; batteries; steam
engines; aeroplanes; ships; cars; rockets; satellites; telescopes; microscopes; atoms;
gravity; light; sound; heat; time; evolution; dinosaurs; birds; cats; dogs; horses;
spiders; coral reefs; deserts; islands; mountains; glaciers; earthquakes; the ocean; the
moon; the Roman Empire; ancient Egypt; the Silk Road; the Renaissance; the Industrial
Revolution; archaeology; languages; translation; dictionaries; handwriting; memory;
attention; dreams; habits; kindness
"""
HELD_OUT = (
    "How do I boil an egg?",
    "What is the capital of Australia, and what is it known for?",
    "Can you help me plan a birthday party for my grandmother?",
    "Explain how a refrigerator keeps food cold.",
    "What is the difference between a virus and a bacterium?",
    "Write a haiku about the first snow.",
    "I have a job interview tomorrow. What should I prepare?",
    "How can I remove a wine stain from a carpet?",
    "Tell me a joke about penguins.",
    "What causes the seasons on Earth?",
    "Write a function in Python that checks whether a word is a palindrome.",
    "Suggest a name for a small bakery, and say why you chose it.",
    "How does a zipper work?",
    "What should I pack for a week of hiking in the Alps?",
    "Describe the taste of a mango to somebody who never ate one.",
    "Why do we yawn?",
    "Give me a recipe for lentil soup.",
    "What is the plot of Romeo and Juliet?",
    "How can I learn to type faster?",
    "Write a polite message to a neighbour whose music is too loud.",
    "What does a lawyer do?",
    "How do airplanes stay in the sky?",
    "Explain compound interest with an example.",
    "What are some good ways to stay focused while studying?",
)


def questions(seed: int = 0) -> list[str]:
    """Every form with every topic, in an order drawn from the seed."""
    topics = [" ".join(topic.split()) for topic in TOPICS.split(";")]
    pairs = [form.format(topic) for form in FORMS for topic in topics]
    random.Random(seed).shuffle(pairs)
    return pairs


def chat(tokenizer: PreTrainedTokenizerBase, asked: Sequence[str]) -> list[list[int]]:
    """The tokens of a conversation that asks this, up to where the answer begins."""
    talks = [[{"role": "user", "content": question}] for question in asked]
    return [
        tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in tokenizer.apply_chat_template(
            talks, tokenize=False, add_generation_prompt=True
        )
    ]


def opening(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens of a conversation up to where a user begins to write."""
    mark = "\N{REPLACEMENT CHARACTER}"
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": mark}], tokenize=False
    )
    return tokenizer(text[: text.index(mark)], add_special_tokens=False)["input_ids"]
