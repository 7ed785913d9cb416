"""The 95 % interval of a split's score: what it would be on other examples of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ipt_jax.metrics.ngrams import EXPECTED, MATCHES, TOTALS, WRITTEN, ngram_counts
from ipt_jax.report.reading.runs import Run
from ipt_jax.report.reading.statistics import resampled_sums

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
    """For BLEU on 13a tokens: the columns of `metrics.ngrams`."""
    signature = str(((result.get("scores") or {}).get("signatures") or {}).get(result["metric"], ""))
    if "|tok:13a|smooth:exp|" not in signature or not all(row.get("references") for row in runs[0]):
        return None
    from ipt_jax.metrics.bleu import tokens_13a  # a report without predictions does without sacrebleu

    def tokens(text: str) -> list[str]:
        return tokens_13a(text.lower() if "|case:lc|" in signature else text)

    references = [list(map(tokens, row["references"])) for row in runs[0]]
    texts = [tokens(row["prediction"]) for rows in runs for row in rows]
    counts = ngram_counts(texts, references, list(range(len(references))) * len(runs))
    return counts.reshape(len(runs), len(references), -1)


def _bleu(sums: np.ndarray, _: int) -> np.ndarray:
    """sacrebleu's `compute_bleu` with exponential smoothing, for many sums at once."""
    matches, ngrams, written, expected = (sums[..., columns] for columns in (MATCHES, TOTALS, WRITTEN, EXPECTED))
    none = matches == 0
    precisions = np.where(none, 0.5 ** np.cumsum(none, axis=-1), matches) / np.maximum(ngrams, 1)
    brevity = np.exp(np.minimum(1 - expected / np.maximum(written, 1), 0))
    scored = ~none.all(axis=-1) & (ngrams > 0).all(axis=-1)
    return np.where(scored, 100 * brevity * np.exp(np.log(precisions).mean(axis=-1)), 0.0)
