"""Self-Instruct's filter: of what a model proposes, keep what is new and whole.

    R(a, b) = 2 · LCS(a, b) / (|a| + |b|)      in words: the F-measure of ROUGE-L
    keep x  ⟺  R(x, y) < 0.7 for every y that was kept before, seeds included

LCS is the longest common subsequence. The order matters: of two that are alike the
first one stays, so that no two of the kept are alike. A common subsequence has no more
words than the two texts share, counted with repetitions: most pairs need no LCS.

Read in order: `rouge_l`, `filtered`.
Source: Wang et al. 2023, "Self-Instruct", arXiv:2212.10560, section 2.2.
"""

from collections import Counter
from collections.abc import Sequence


def rouge_l(one: str, other: str) -> float:
    """The F-measure of the longest common subsequence of words, between 0 and 1.

    Words are taken without case and punctuation; 0 where a text has none.
    """
    a, b = words(one), words(other)
    if not a or not b:
        return 0.0
    row = [0] * (len(b) + 1)  # the LCS of what was read of a with each start of b
    for word in a:
        before = row[:]
        for j, mate in enumerate(b, 1):
            row[j] = before[j - 1] + 1 if word == mate else max(before[j], row[j - 1])
    return 2 * row[-1] / (len(a) + len(b))


def filtered(
    proposed: Sequence[str],
    seeds: Sequence[str],
    *,
    most: float = 0.7,
    shortest: int = 3,
    longest: int = 150,
) -> list[str]:
    """Those of `proposed` that are new beside the seeds and each other, in order.

    Too short or too long, in words, goes too. ValueError for a bound outside (0, 1].
    """
    if not 0 < most <= 1:
        raise ValueError(f"an overlap of at most {most}")
    kept: list[str] = []
    before = [(text, Counter(words(text))) for text in seeds]
    for text in proposed:
        bag = Counter(words(text))
        if shortest <= bag.total() <= longest and not any(
            2 * (bag & other).total() >= most * (bag.total() + other.total())
            and rouge_l(text, known) >= most
            for known, other in before
        ):
            kept.append(text)
            before.append((text, bag))
    return kept


def words(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    spaced = "".join(c if c.isalnum() else " " for c in text.lower())
    return spaced.split()
