"""The 95 % interval of a split's score: what it would be on other examples of the same kind."""

from __future__ import annotations

from collections import Counter
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
    for counts_of, score in ((_example_scores, _mean), (_ngram_counts, _bleu)):
        counts = counts_of(rows, runs[0].result)
        if counts is not None and all(
            abs(score(count.sum(axis=0, keepdims=True), len(ids))[0] - run.result["score"]) <= _ROUNDING
            for count, run in zip(counts, runs, strict=True)
        ):
            drawn = np.mean([score(resampled_sums(count), len(ids)) for count in counts], axis=0)
            low, high = np.percentile(drawn, [2.5, 97.5])
            return float(low), float(high)
    return None


# Of every run f64[n, m], what its n examples add to the score; and how scores f64[s] follow from sums f64[s, m] and n.
_Counts = Callable[[Sequence[_Rows], Mapping[str, Any]], list[np.ndarray] | None]
_Score = Callable[[np.ndarray, int], np.ndarray]


def _example_scores(runs: Sequence[_Rows], _: Mapping[str, Any]) -> list[np.ndarray] | None:
    scores = [[row.get("score") for row in rows] for rows in runs]
    return None if any(None in each for each in scores) else [np.array(each, np.float64)[:, None] for each in scores]


def _mean(sums: np.ndarray, n: int) -> np.ndarray:
    return sums[:, 0] / n


def _ngram_counts(runs: Sequence[_Rows], result: Mapping[str, Any]) -> list[np.ndarray] | None:
    """For BLEU on 13a tokens: matches and n-grams of each order, length, and that of the nearest reference."""
    signature = str(((result.get("scores") or {}).get("signatures") or {}).get(result["metric"], ""))
    if "|tok:13a|smooth:exp|" not in signature or not all(row.get("references") for row in runs[0]):
        return None
    from sacrebleu.metrics.helpers import extract_all_word_ngrams
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    tokenizer, lower = Tokenizer13a(), "|case:lc|" in signature

    def ngrams(text: str) -> tuple[Counter, int]:
        return extract_all_word_ngrams(tokenizer(text.lower() if lower else text), 1, _ORDERS)

    expected = []
    for row in runs[0]:
        found = [ngrams(text) for text in row["references"]]
        most: Counter = Counter()
        for counts, _ in found:
            most |= counts
        expected.append((most, [length for _, length in found]))
    return [
        np.array([_row(*ngrams(row["prediction"]), *each) for row, each in zip(rows, expected, strict=True)])
        for rows in runs
    ]


def _row(written: Counter, length: int, expected: Counter, lengths: Sequence[int]) -> list[float]:
    nearest = min(lengths, key=lambda each: (abs(each - length), each))
    matches = [0.0] * _ORDERS
    for ngram, count in (written & expected).items():
        matches[len(ngram) - 1] += count
    return [*matches, *(max(length - order, 0) for order in range(_ORDERS)), length, nearest]


def _bleu(sums: np.ndarray, _: int) -> np.ndarray:
    """sacrebleu's `compute_bleu` with exponential smoothing, for many sums at once."""
    matches, ngrams = sums[:, :_ORDERS], sums[:, _ORDERS : 2 * _ORDERS]
    written, expected = sums[:, -2], sums[:, -1]
    none = matches == 0
    precisions = np.where(none, 0.5 ** np.cumsum(none, axis=1), matches) / np.maximum(ngrams, 1)
    brevity = np.exp(np.minimum(1 - expected / np.maximum(written, 1), 0))
    scored = ~none.all(axis=1) & (ngrams > 0).all(axis=1)
    return np.where(scored, 100 * brevity * np.exp(np.log(precisions).mean(axis=1)), 0.0)
