"""chrF: how many character n-grams a prediction shares with a reference (Popović 2015), by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence

import sacrebleu
from sacrebleu.metrics import CHRF

from ipt_jax.metrics.metric import Judged, Metric, Rows, Sums

# sacrebleu's defaults, chrF2: characters up to order 6, no word n-grams, recall counts twice.
CHRF_SIGNATURE = f"convention:sacrebleu|refs:best|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{sacrebleu.__version__}"
_CHRF = CHRF()


def _rows(predictions: Sequence[str], examples: Sequence[Judged]) -> Rows:
    """f64[N, 18]: for orders 1 to 6 the n-grams of the text, of the reference that is best for it, and of both."""
    import numpy as np

    references = [example.references for example in examples]
    width = max(map(len, references))
    # An empty reference counts only where there is no other.
    streams = [[texts[n] if n < len(texts) else None for texts in references] for n in range(width)]
    # sacrebleu's own paired tests take the counts this way; there is no public one.
    return np.array(_CHRF._extract_corpus_statistics(list(predictions), streams), np.float64)


def _value(sums: Sums) -> float:
    return min(_CHRF._compute_score_from_stats(sums.tolist()).score, 100.0)


CHRF2 = Metric("chrf", "chrF", "", CHRF_SIGNATURE, _rows, _value, _value)
