"""Whether an answer is one of the references, how many words they share (F1), and how well labels are told apart."""

from __future__ import annotations

import collections
import functools
import re
import string
from collections.abc import Callable, Sequence

from ipt_jax.metrics.metric import Judged, Metric, Rows, Sums, mean, scored

_MOST_LABELS = 1_000  # Above it the references are texts and no labels: macro-F1 is left out.
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def _lower(text: str) -> str:
    return " ".join(text.lower().split())


def _squad(text: str) -> str:
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


# What is done to both texts before they are compared: only white space around them goes; case and runs of white space
# go; as SQuAD's evaluation does (Rajpurkar et al. 2016), ASCII punctuation and English articles go as well.
NORMALISATIONS: dict[str, Callable[[str], str]] = {"none": str.strip, "lower": _lower, "squad": _squad}


def word_f1(prediction: str, reference: str) -> float:
    """F1 of the words (between white space) of two texts, as often as each stands there; 0 to 100.

    >>> word_f1("the cat sat", "the cat")
    80.0
    """
    ours, theirs = prediction.split(), reference.split()
    if not ours or not theirs:
        return 100.0 * (ours == theirs)
    common = (collections.Counter(ours) & collections.Counter(theirs)).total()
    return 200 * common / (len(ours) + len(theirs))


def match_metrics(normalisation: str) -> dict[str, Metric]:
    """`exact_match`, `f1`, `accuracy` and `macro_f1` of texts under one of NORMALISATIONS.

    Accuracy is exact match by the name that it has where answers are labels; macro-F1 is the mean over labels, those of
    the first references, of the F1 of telling the label from the others. An answer that is no label is wrong for its
    reference and counts against no other label; a label that neither stands in the examples nor is answered is no part
    of the mean.
    """
    normal = NORMALISATIONS[normalisation]
    exact = functools.partial(_exact, normal)
    tail = f"refs:best|norm:{normalisation}"
    return {
        metric.name: metric
        for metric in (
            Metric("exact_match", "exact match", "", f"convention:exact|{tail}", exact, mean(0), mean(0)),
            Metric("accuracy", "accuracy", "", f"convention:exact|{tail}", exact, mean(0), mean(0)),
            Metric("f1", "F1", "words shared with the best reference", f"convention:words|{tail}",
                   functools.partial(_shared, normal), mean(0), mean(0)),
            Metric("macro_f1", "macro-F1", "the mean over labels", f"convention:labels|refs:first|norm:{normalisation}",
                   functools.partial(_labelled, normal), _macro_f1),
        )
    }  # fmt: skip


def _exact(normal: Callable[[str], str], predictions: Sequence[str], examples: Sequence[Judged]) -> Rows:
    pairs = zip(predictions, examples, strict=True)
    return scored([100.0 * (normal(text) in map(normal, example.references)) for text, example in pairs])


def _shared(normal: Callable[[str], str], predictions: Sequence[str], examples: Sequence[Judged]) -> Rows:
    pairs = zip(map(normal, predictions), examples, strict=True)
    return scored([max(word_f1(text, normal(wanted)) for wanted in example.references) for text, example in pairs])


def _labelled(normal: Callable[[str], str], predictions: Sequence[str], examples: Sequence[Judged]) -> Rows | None:
    """f64[N, 2 L]: for each of L labels twice its agreement, then how often answer and reference are it."""
    import numpy as np

    wanted = [normal(example.references[0]) for example in examples]
    places = {label: place for place, label in enumerate(sorted(set(wanted)))}
    if len(places) > _MOST_LABELS:
        return None
    rows = np.zeros((len(wanted), 2, len(places)))
    for row, text, label in zip(rows, map(normal, predictions), wanted, strict=True):
        row[0, places[label]] = 2.0 * (text == label)
        row[1, places[label]] += 1
        if text in places:
            row[1, places[text]] += 1
    return rows.reshape(len(wanted), -1)


def _macro_f1(sums: Sums) -> float:
    agreed, told = sums.reshape(2, -1)
    met = told > 0
    return float(100 * (agreed[met] / told[met]).mean())
