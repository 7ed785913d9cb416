"""ROUGE-L: the longest common subsequence of words (Lin 2004), with the tokens of Google's rouge-score package."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Sequence

from rouge_score.tokenize import tokenize

from ipt_jax.metrics.metric import Judged, Metric, Rows, mean, scored
from ipt_jax.metrics.subsequence import common_subsequence

ROUGE_L_SIGNATURE = (
    f"convention:rouge_score|score:rougeL-f1|refs:best|stemmer:no|version:{importlib.metadata.version('rouge-score')}"
)


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


def _rows(predictions: Sequence[str], examples: Sequence[Judged]) -> Rows:
    references = [example.references for example in examples]
    return scored([sentence_rouge_l(*pair) for pair in zip(predictions, references, strict=True)])


ROUGE_L = Metric("rouge_l", "ROUGE-L", "", ROUGE_L_SIGNATURE, _rows, mean(0), mean(0))
