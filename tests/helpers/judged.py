"""Texts judged by a metric, with the parts of BLEU that the official evaluators print."""

from types import SimpleNamespace

from ipt_jax.metrics.bleu import DEFAULTS, UNSMOOTHED, bleu_score
from ipt_jax.metrics.metric import total
from ipt_jax.tasks.base import Example


def examples_of(references):
    return [Example(str(index), "", "", tuple(texts)) for index, texts in enumerate(references)]


def judged_bleu(metric, predictions, references):
    """Value and signature of a corpus, and the counts that they come from."""
    value = metric.of_texts(predictions, references)
    examples = examples_of(references)
    signature = metric.signature_of(examples)
    settings = DEFAULTS if "|smooth:exp|" in signature else UNSMOOTHED
    parts = bleu_score(settings, total(metric.statistics(predictions, examples)))
    return SimpleNamespace(
        value=value,
        signature=signature,
        counts=tuple(parts.counts),
        totals=tuple(parts.totals),
        precisions=tuple(parts.precisions),
        bp=parts.bp,
        hyp_len=parts.sys_len,
        ref_len=parts.ref_len,
    )


def single(metric, prediction, references):
    """What one text is worth."""
    (row,) = metric.statistics([prediction], examples_of([references]))
    return metric.per_example(row)
