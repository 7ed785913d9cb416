"""Evaluated inputs that training has already: the same ones, and those that differ in a few words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"\w+")
THRESHOLD = 0.9  # the Jaccard similarity of near duplicates


def overlap_counts(evaluated: Sequence[str], train: Sequence[str], threshold: float = THRESHOLD) -> dict[str, int]:
    """Of so many evaluated inputs (`examples`), those with the `same_input` in training, and other `near_duplicate`s.

    >>> overlap_counts(["a b", "a b c d e", "z"], ["a b", "e d c b A f", "x"], 0.8)
    {'same_input': 1, 'near_duplicate': 1, 'examples': 3}
    """
    inputs = dict.fromkeys(train)
    others = [text for text in evaluated if text not in inputs]
    twins = near_duplicates(others, list(inputs), threshold)
    return {
        "same_input": len(evaluated) - len(others),
        "near_duplicate": sum(twin is not None for twin in twins),
        "examples": len(evaluated),
    }


def near_duplicates(
    queries: Sequence[str], pool: Sequence[str], threshold: float = THRESHOLD
) -> list[tuple[int, float] | None]:
    """For each query its most similar text of the pool, where one reaches the threshold.

    Similarity is |A ∩ B| / |A ∪ B| of the sets of words. Exact, and among equals the first of the pool is taken.

        >>> near_duplicates(["a b c d e"], ["x y", "e d c b A", "a b c d e f"], 0.8)
        [(1, 1.0)]

    Returns:
      A (place in the pool, similarity) or None for each query; a text without a word has no twin.
    """
    query_words, pool_words = ([set(_WORD.findall(text.lower())) for text in texts] for texts in (queries, pool))
    frequency = Counter(word for words in (*query_words, *pool_words) for word in words)
    index: dict[str, list[int]] = {}
    for place, words in enumerate(pool_words):
        for word in _rarest(words, frequency, threshold):
            index.setdefault(word, []).append(place)
    found = []
    for words in query_words:
        best: tuple[int, float] | None = None
        candidates = {place for word in _rarest(words, frequency, threshold) for place in index.get(word, ())}
        for place in sorted(candidates):
            other = pool_words[place]
            if min(len(words), len(other)) < threshold * max(len(words), len(other)) - 1e-9:
                continue
            common = len(words & other)
            similarity = common / (len(words) + len(other) - common)
            if similarity >= threshold - 1e-9 and (best is None or similarity > best[1]):
                best = place, similarity
        found.append(best)
    return found


def _rarest(words: Iterable[str], frequency: Counter[str], threshold: float) -> list[str]:
    """So many of the rarest words that a set which has none of them cannot be similar enough."""
    ordered = sorted(words, key=lambda word: (frequency[word], word))
    needed = math.ceil(threshold * len(ordered) - 1e-9)  # Words that a similar set has in common with this one.
    return ordered[: len(ordered) - needed + 1]
