"""A split's score, and two methods' difference in it, as they would be on other examples and with other seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ipt_jax.metrics.ngrams import EXPECTED, MATCHES, TOTALS, WRITTEN, ngram_counts
from ipt_jax.report.reading.runs import Run
from ipt_jax.report.reading.statistics import Effect, effect, resampled_sums

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
    drawn = _drawn(runs)
    if drawn is None:
        return None
    low, high = np.percentile(drawn.mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def effect_of(ours: Sequence[Run], theirs: Sequence[Run]) -> Effect | None:
    """The difference between two methods' scores of the split, over seeds and examples, see `statistics.effect`.

    The variance over examples is that of a bootstrap in which both methods, and all their seeds, have the same examples
    in every draw: pairs are kept, and BLEU stays that of a corpus.

    Returns:
      None where a score cannot be computed anew, or where methods have other examples.
    """
    drawn = _drawn([*ours, *theirs])
    if drawn is None:
        return None
    difference = drawn[:, : len(ours)].mean(axis=1) - drawn[:, len(ours) :].mean(axis=1)
    scores = [[run.result["score"] for run in runs] for runs in (ours, theirs)]
    return effect(*scores, float(difference.var()), len(ours[0].predictions))


def _drawn(runs: Sequence[Run]) -> np.ndarray | None:
    """The score f64[samples, runs] of each run on examples drawn again; None where it cannot be computed, see above."""
    ids = [row["id"] for row in runs[0].predictions]
    by_id = [{row["id"]: row for row in run.predictions} for run in runs]
    if len(ids) < 2 or any(rows.keys() != set(ids) for rows in by_id):
        return None
    rows = [[found[id] for id in ids] for found in by_id]
    recorded = [run.result["score"] for run in runs]
    for counts_of, score in ((_example_scores, _mean), (_ngram_counts, _bleu)):
        counts = counts_of(rows, runs[0].result)
        if counts is not None and np.abs(score(counts.sum(axis=1), len(ids)) - recorded).max() <= _ROUNDING:
            return score(resampled_sums(np.hstack(counts)).reshape(-1, *counts.shape[::2]), len(ids))
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
