"""How well the probabilities of chosen labels say how often these are right (Guo et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ipt_jax.metrics.metric import Judged, Metric, Rows, Sums
from ipt_jax.metrics.text_match import NORMALISATIONS

BINS = 15
# The key of `Example.details` under which an answer's probability among the choices stands.
CONFIDENCE = "confidence"


def calibration_error(normalisation: str) -> Metric:
    """`ece`, the expected calibration error of 15 bins of equal width.

    Answers are sorted into bins by their probability among the choices; in each bin the mean probability is held
    against the share of answers that are right, and the differences are weighted by the answers in it. 0 is perfect.
    Left out where an answer has no probability.
    """
    normal = NORMALISATIONS[normalisation]

    def statistics(predictions: Sequence[str], examples: Sequence[Judged]) -> Rows | None:
        return _binned(normal, predictions, examples)

    meaning = f"expected calibration error in {BINS} bins; lower is better"
    return Metric("ece", "ECE", meaning, f"convention:guo2017|bins:{BINS}|norm:{normalisation}", statistics, _error)


def _binned(normal: Callable[[str], str], predictions: Sequence[str], examples: Sequence[Judged]) -> Rows | None:
    """f64[N, 3 · BINS]: in its bin 1, probability, and whether it is right; then zeros."""
    import numpy as np

    rows = np.zeros((len(predictions), BINS, 3))
    for row, text, example in zip(rows, predictions, examples, strict=True):
        confidence = example.details.get(CONFIDENCE)
        if confidence is None:
            return None
        right = normal(text) in map(normal, example.references)
        row[min(int(confidence * BINS), BINS - 1)] = 1.0, confidence, right
    return rows.reshape(len(rows), -1)


def _error(sums: Sums) -> float:
    counted, confident, right = sums.reshape(BINS, 3).T
    return float(100 * abs(confident - right).sum() / counted.sum())
