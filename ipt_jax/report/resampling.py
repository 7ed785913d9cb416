"""The 95 % interval of a split's score: what it would be on other examples of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ipt_jax.report.runs import Run
from ipt_jax.report.statistics import resampled_sums

_ORDERS = 4  # n-grams of BLEU
_ROUNDING = 1e-6  # points: a score that is farther from the recorded one is another score


def interval_over_examples(runs: Sequence[Run]) -> tuple[float, float] | None:
    """The percentile interval of a bootstrap over the examples, the score averaged over the runs in every draw.

    The score of a split is computed anew from the examples that are drawn: a mean of their scores, or BLEU from their
    counts of n-grams, which is no mean (Koehn 2004). So the score must be one that this module can compute: on all
    examples it has to give the recorded one, in every run.

    Returns:
      None where it does not, where there are fewer than two examples, or where runs have other examples.
    """
    ids = [row["id"] for row in runs[0].predictions]
    if len(ids) < 2:
        return None
    totals = np.zeros(1)
    for run in runs:
        by_id = {row["id"]: row for row in run.predictions}
        if by_id.keys() != set(ids):
            return None
        found = _statistics([by_id[id] for id in ids], run.result)
        if found is None:
            return None
        counts, score = found
        totals = totals + score(resampled_sums(counts), len(ids))
    low, high = np.percentile(totals / len(runs), [2.5, 97.5])
    return float(low), float(high)


_Score = Callable[[np.ndarray, int], np.ndarray]


def _statistics(rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> tuple[np.ndarray, _Score] | None:
    """f64[n, m] of n examples, and how scores f64[s] follow from sums over examples, f64[s, m], and n."""
    for counts, score in ((_example_scores(rows), _mean), (_ngram_counts(rows, result), _bleu)):
        if counts is not None:
            whole = float(score(counts.sum(axis=0, keepdims=True), len(rows))[0])
            if abs(whole - result["score"]) <= _ROUNDING:
                return counts, score
    return None


def _example_scores(rows: Sequence[Mapping[str, Any]]) -> np.ndarray | None:
    scores = [row.get("score") for row in rows]
    return None if None in scores else np.array(scores, np.float64)[:, None]


def _mean(sums: np.ndarray, n: int) -> np.ndarray:
    return sums[:, 0] / n


def _ngram_counts(rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> np.ndarray | None:
    """Matches and n-grams of each order, and both lengths, of BLEU on 13a tokens; None for another metric."""
    signature = str(((result.get("scores") or {}).get("signatures") or {}).get(result["metric"], ""))
    if "|tok:13a|smooth:exp|" not in signature or not all(row.get("references") for row in rows):
        return None
    from sacrebleu.metrics import BLEU

    # Effective order changes the score of a sentence, which is not asked for, and not its counts.
    metric = BLEU(tokenize="13a", smooth_method="exp", effective_order=True, lowercase="|case:lc|" in signature)
    scores = [metric.sentence_score(row["prediction"], row["references"]) for row in rows]
    return np.array([[*s.counts, *s.totals, s.sys_len, s.ref_len] for s in scores], np.float64)


def _bleu(sums: np.ndarray, _: int) -> np.ndarray:
    """sacrebleu's `compute_bleu` with exponential smoothing, for many sums at once."""
    matches, ngrams = sums[:, :_ORDERS], sums[:, _ORDERS : 2 * _ORDERS]
    written, expected = sums[:, -2], sums[:, -1]
    none = matches == 0
    precisions = np.where(none, 0.5 ** np.cumsum(none, axis=1), matches) / np.maximum(ngrams, 1)
    brevity = np.exp(np.minimum(1 - expected / np.maximum(written, 1), 0))
    scored = ~none.all(axis=1) & (ngrams > 0).all(axis=1)
    return np.where(scored, 100 * brevity * np.exp(np.log(precisions).mean(axis=1)), 0.0)
