"""The 95 % interval of a split's score: what it would be on other examples of the same kind."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ipt_jax.report.runs import Run
from ipt_jax.report.statistics import resampled_sums

_ORDERS = 4  # n-grams of BLEU
_ROUNDING = 1e-6  # points: a score that is farther from the recorded one is another score

_Rows = Sequence[Mapping[str, Any]]


def interval_over_examples(runs: Sequence[Run]) -> tuple[float, float] | None:
    """The percentile interval of a bootstrap over the examples, the score averaged over the runs in every draw.

    The score of a split is computed anew from the examples that are drawn: a mean of their scores, or BLEU from their
    counts of n-grams, which is no mean (Koehn 2004). So the score must be one that this module can compute: on all
    examples it has to give the recorded one, in every run.

    Returns:
      None where it does not, where there are fewer than two examples, or where runs have other examples.
    """
    ids = [row["id"] for row in runs[0].predictions]
    by_id = [{row["id"]: row for row in run.predictions} for run in runs]
    if len(ids) < 2 or any(rows.keys() != set(ids) for rows in by_id):
        return None
    rows = [[found[id] for id in ids] for found in by_id]
    recorded = [run.result["score"] for run in runs]
    for counts_of, score in ((_example_scores, _mean), (_ngram_counts, _bleu)):
        counts = counts_of(rows, runs[0].result)
        if counts is not None and np.abs(score(counts.sum(axis=1), len(ids)) - recorded).max() <= _ROUNDING:
            drawn = resampled_sums(np.hstack(counts)).reshape(-1, *counts.shape[::2])
            low, high = np.percentile(score(drawn, len(ids)).mean(axis=1), [2.5, 97.5])
            return float(low), float(high)
    return None


# f64[r, n, m] of r runs, what each of n examples adds to the score; how scores f64[…] follow from sums f64[…, m] and n.
_Counts = Callable[[Sequence[_Rows], Mapping[str, Any]], np.ndarray | None]
_Score = Callable[[np.ndarray, int], np.ndarray]


def _example_scores(runs: Sequence[_Rows], _: Mapping[str, Any]) -> np.ndarray | None:
    scores = [[row.get("score") for row in rows] for rows in runs]
    return None if any(None in each for each in scores) else np.array(scores, np.float64)[:, :, None]


def _mean(sums: np.ndarray, n: int) -> np.ndarray:
    return sums[..., 0] / n


def _ngram_counts(runs: Sequence[_Rows], result: Mapping[str, Any]) -> np.ndarray | None:
    """For BLEU on 13a tokens: matches and n-grams of each order, length, and that of the nearest reference."""
    signature = str(((result.get("scores") or {}).get("signatures") or {}).get(result["metric"], ""))
    if "|tok:13a|smooth:exp|" not in signature or not all(row.get("references") for row in runs[0]):
        return None
    tokenizer, lower = _tokenizer(), "|case:lc|" in signature
    references = [row["references"] for row in runs[0]]
    examples, n = [i for i, texts in enumerate(references) for _ in texts], len(references)
    texts = [row["prediction"] for rows in runs for row in rows] + [text for texts in references for text in texts]
    tokens = [tokenizer(text.lower() if lower else text).split() for text in texts]
    lengths = np.array(list(map(len, tokens)))
    written, expected = (
        lengths[: n * len(runs)],
        np.split(lengths[n * len(runs) :], np.cumsum(list(map(len, references)))),
    )
    matches = _matches(tokens, np.array([*list(range(n)) * len(runs), *examples]), len(written))
    nearest = [min(expected[i % n], key=lambda each: (abs(each - length), each)) for i, length in enumerate(written)]
    ngrams = np.maximum(written[:, None] - np.arange(_ORDERS), 0)
    return np.column_stack([matches, ngrams, written, nearest]).astype(np.float64).reshape(len(runs), n, -1)


@functools.cache
def _tokenizer() -> Callable[[str], str]:
    """Made once: it remembers texts, and all methods have the same references."""
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    return Tokenizer13a()


def _matches(tokens: Sequence[Sequence[str]], examples: np.ndarray, written: int) -> np.ndarray:
    """i64[written, 4]: n-grams of each of the first texts that its references have, each as often as the one with most.

    Args:
      tokens: of texts, first the written ones, then references.
      examples: i64[texts], the example that each is of.
    """
    ids: dict[str, int] = {}
    words = np.array([ids.setdefault(word, len(ids)) for text in tokens for word in text], np.int64)
    text_of = np.repeat(np.arange(len(tokens)), list(map(len, tokens)))
    found = np.zeros((written, _ORDERS), np.int64)
    grams = words  # the n-gram that begins at each word, as a number
    for order in range(min(_ORDERS, len(words))):
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


def _bleu(sums: np.ndarray, _: int) -> np.ndarray:
    """sacrebleu's `compute_bleu` with exponential smoothing, for many sums at once."""
    matches, ngrams = sums[..., :_ORDERS], sums[..., _ORDERS : 2 * _ORDERS]
    written, expected = sums[..., -2], sums[..., -1]
    none = matches == 0
    precisions = np.where(none, 0.5 ** np.cumsum(none, axis=-1), matches) / np.maximum(ngrams, 1)
    brevity = np.exp(np.minimum(1 - expected / np.maximum(written, 1), 0))
    scored = ~none.all(axis=-1) & (ngrams > 0).all(axis=-1)
    return np.where(scored, 100 * brevity * np.exp(np.log(precisions).mean(axis=-1)), 0.0)
