"""How many n-grams texts share with their references: the counts that BLEU is a function of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


ORDERS = 4
MATCHES, TOTALS = slice(0, ORDERS), slice(ORDERS, 2 * ORDERS)
WRITTEN, EXPECTED = -2, -1

Tokens = Sequence[str]


def ngram_counts(
    texts: Sequence[Tokens], references: Sequence[Sequence[Tokens]], example_of: Sequence[int] | None = None
) -> np.ndarray:
    """f64[M, 10] of M texts: matches and n-grams of orders 1 to 4, length, and that of the nearest reference.

    An n-gram matches as often as the reference that has it most often; of two references that are equally near in
    length the shorter one counts (Papineni et al. 2002). Whole numbers, so their sums are exact.

        >>> ngram_counts([["a", "b", "a"]], [[["a", "b"], ["a", "c", "a", "d"]]]).astype(int).tolist()
        [[3, 1, 0, 0, 3, 2, 1, 0, 3, 2]]

    Args:
      references: those of each of N examples, at least one.
      example_of: which example each text is of; without it text i is of example i.
    """
    import numpy as np

    example = np.arange(len(texts)) if example_of is None else np.asarray(example_of)
    flat = [tokens for each in references for tokens in each]
    lengths = np.array([len(tokens) for tokens in (*texts, *flat)])
    written = lengths[: len(texts)]
    expected = np.split(lengths[len(texts) :], np.cumsum([len(each) for each in references])[:-1])
    nearest = [
        min(expected[e], key=lambda length: (abs(length - n), length)) for e, n in zip(example, written, strict=True)
    ]
    owners = np.repeat(np.arange(len(references)), [len(each) for each in references])
    matches = _matches([*texts, *flat], np.concatenate([example, owners]), len(texts))
    ngrams = np.maximum(written[:, None] - np.arange(ORDERS), 0)
    return np.column_stack([matches, ngrams, written, nearest]).astype(np.float64)


def _matches(tokens: Sequence[Tokens], examples: np.ndarray, written: int) -> np.ndarray:
    """i64[written, 4]: n-grams of each of the first texts that its references have, each as often as the one with most.

    Args:
      tokens: of texts, first the written ones, then references.
      examples: i64[texts], the example that each is of.
    """
    import numpy as np

    ids: dict[str, int] = {}
    words = np.array([ids.setdefault(word, len(ids)) for text in tokens for word in text], np.int64)
    text_of = np.repeat(np.arange(len(tokens)), [len(text) for text in tokens])
    found = np.zeros((written, ORDERS), np.int64)
    grams = words  # the n-gram that begins at each word, as a number
    for order in range(min(ORDERS, len(words))):
        if order:
            grams = np.unique(grams[:-1] * len(ids) + words[order:], return_inverse=True)[1]
        inside = text_of[: len(grams)] == text_of[order:]
        kinds = int(grams.max()) + 1
        keys, counts = np.unique(text_of[: len(grams)][inside] * kinds + grams[inside], return_counts=True)
        texts, gram = np.divmod(keys, kinds)
        wanted, place = np.unique(examples[texts] * kinds + gram, return_inverse=True)
        most = np.zeros(len(wanted), np.int64)
        is_written = texts < written
        np.maximum.at(most, place[~is_written], counts[~is_written])
        shared = np.minimum(counts, most[place])[is_written]
        np.add.at(found[:, order], texts[is_written], shared)
    return found
