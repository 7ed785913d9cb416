"""ROUGE-L: the longest common subsequence of words (Lin 2004), with the tokens of Google's rouge-score package."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Sequence

from rouge_score.tokenize import tokenize

from ipt_jax.metrics.checks import check_corpus

ROUGE_L_SIGNATURE = (
    f"convention:rouge_score|score:rougeL-f1|refs:best|stemmer:no|version:{importlib.metadata.version('rouge-score')}"
)


def rouge_l(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """The mean of `sentence_rouge_l` over a corpus, 0 to 100.

    Args:
      predictions: one text per example; an empty one is allowed.
      references: for each example its texts, at least one.

    Raises:
      ValueError: see `check_corpus`.
    """
    check_corpus(predictions, references)
    return sum(map(sentence_rouge_l, predictions, references)) / len(predictions)


def sentence_rouge_l(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-L F1 of one text against the reference that is best for it, 0 to 100.

    Tokens are runs of a-z and 0-9 after lower-casing, so a text in another script has none and scores 0.

        >>> sentence_rouge_l("the cat sat", ["the dog sat", "a bird"])
        66.66666666666666
    """
    words = _tokens(prediction)
    return 100 * max(_f1(_tokens(reference), words) for reference in references)


@functools.lru_cache(maxsize=1 << 16)  # Runs of one experiment are scored against the same references.
def _tokens(text: str) -> tuple[str, ...]:
    return tuple(tokenize(text, None))


def _f1(reference: Sequence[str], prediction: Sequence[str]) -> float:
    common = common_subsequence(reference, prediction)
    if not common:
        return 0.0
    precision, recall = common / len(prediction), common / len(reference)
    return 2 * precision * recall / (precision + recall)


def common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest common subsequence.

    Bit-parallel (Hyyrö 2004): bit i of `row` is 0 where the subsequence grows at `a[i]`, so that a row of the
    usual table is one integer and costs a few machine instructions instead of a Python loop.

        >>> common_subsequence("the cat sat down".split(), "the dog sat down".split())
        3
    """
    places: dict[str, int] = {}
    for i, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << i
    full = (1 << len(a)) - 1
    row = full
    for word in b:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & full
    return len(a) - row.bit_count()
