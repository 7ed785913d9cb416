"""The scores of a task that generates text: BLEU under the conventions it names, with chrF, ROUGE-L and METEOR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ipt_jax.metrics.bleu import bleu, sentence_bleu
from ipt_jax.metrics.chrf import CHRF_SIGNATURE, chrf, sentence_chrf
from ipt_jax.metrics.meteor import meteor, meteor_signature, why_left_out
from ipt_jax.metrics.rouge import ROUGE_L_SIGNATURE, rouge_l, sentence_rouge_l


def generation_scores(
    predictions: Sequence[str], references: Sequence[Sequence[str]], bleus: Mapping[str, str]
) -> dict[str, Any]:
    """Every metric over a corpus, 0 to 100, with `signatures`.

    Args:
      predictions: one text per example.
      references: for each example its texts, at least one.
      bleus: name of a score → convention of `bleu`, such as `{"bleu_official": "dart_official"}`.

    Returns:
      The scores of `bleus`, then `chrf`, `rouge_l`, and `meteor` where Java and its jar are present; `signatures`
      says of each how it was computed, and of a METEOR that is left out why.

    Raises:
      ValueError: see `check_corpus`.
    """
    computed = {name: bleu(predictions, references, convention=convention) for name, convention in bleus.items()}
    scores = {name: score.value for name, score in computed.items()}
    scores |= {"chrf": chrf(predictions, references), "rouge_l": rouge_l(predictions, references)}
    if not why_left_out():
        scores["meteor"] = meteor(predictions, references)
    signatures = {name: score.signature for name, score in computed.items()}
    signatures |= {"chrf": CHRF_SIGNATURE, "rouge_l": ROUGE_L_SIGNATURE, "meteor": meteor_signature()}
    return {**scores, "signatures": signatures}


def example_scores(prediction: str, references: Sequence[str]) -> dict[str, float]:
    """The metrics that make sense for one text: `sentence_bleu`, `chrf`, `rouge_l`, each 0 to 100."""
    return {
        "sentence_bleu": sentence_bleu(prediction, references),
        "chrf": sentence_chrf(prediction, references),
        "rouge_l": sentence_rouge_l(prediction, references),
    }
