"""chrF against sacrebleu's own."""

import hypothesis.strategies as st
import pytest
import sacrebleu
from hypothesis import given, settings
from judged import single

from ipt_jax.metrics.chrf import CHRF2, CHRF_SIGNATURE

TEXTS = st.text("ab é.\u3000", max_size=12)


@settings(max_examples=60)
@given(st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3)), min_size=1, max_size=6))
def test_chrf_is_sacrebleus_on_any_texts_with_any_number_of_references(examples):
    predictions, references = (list(column) for column in zip(*examples, strict=True))
    streams = [[texts[n] if n < len(texts) else None for texts in references] for n in range(3)]
    assert CHRF2.of_texts(predictions, references) == sacrebleu.CHRF().corpus_score(predictions, streams).score
    for text, own in examples:
        assert single(CHRF2, text, own) == sacrebleu.CHRF().sentence_score(text, own).score


def test_one_text_is_judged_by_the_reference_that_is_best_for_it():
    assert single(CHRF2, "a dog", ["a dog", "the dog"]) == pytest.approx(100)
    assert single(CHRF2, "", ["a dog", "the dog"]) == 0


def test_the_signature_has_sacrebleus_settings():
    metric = sacrebleu.CHRF()
    metric.corpus_score(["a", "b"], [["a", "b"], [None, "c"]])
    assert str(metric.get_signature()).removeprefix("nrefs:var|") in CHRF_SIGNATURE
