"""chrF: how many character n-grams a prediction shares with a reference (Popović 2015), by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence

import sacrebleu
from sacrebleu.metrics import CHRF

from ipt_jax.metrics.checks import check_corpus

# sacrebleu's defaults, chrF2: characters up to order 6, no word n-grams, recall counts twice.
CHRF_SIGNATURE = f"convention:sacrebleu|refs:best|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{sacrebleu.__version__}"


def chrf(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus chrF2, 0 to 100; each prediction is judged by the reference that is best for it.

        >>> round(chrf(["the cat"], [["a dog", "the cat"]]))
        100

    Args:
      predictions: one text per example; an empty one is allowed.
      references: for each example its texts, at least one; an empty text counts only where there is no other.

    Raises:
      ValueError: see `check_corpus`.
    """
    check_corpus(predictions, references)
    width = max(len(texts) for texts in references)
    streams = [[texts[n] if n < len(texts) else None for texts in references] for n in range(width)]
    return min(CHRF().corpus_score(list(predictions), streams).score, 100.0)


def sentence_chrf(prediction: str, references: Sequence[str]) -> float:
    """chrF2 of one text, 0 to 100."""
    return min(CHRF().sentence_score(prediction, list(references)).score, 100.0)
