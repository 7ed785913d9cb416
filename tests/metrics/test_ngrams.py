"""Counts of n-grams against sacrebleu's."""

import hypothesis.strategies as st
from hypothesis import given, settings
from sacrebleu.metrics import BLEU

from ipt_jax.metrics.ngrams import EXPECTED, MATCHES, TOTALS, WRITTEN, ngram_counts

WORDS = st.lists(st.sampled_from(["a", "b", "cat", "sat", "."]), max_size=9)
EXAMPLES = st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), min_size=1, max_size=6)


@settings(max_examples=60)
@given(EXAMPLES)
def test_each_text_has_sacrebleus_counts_and_lengths(examples):
    texts, references = zip(*examples, strict=True)
    for row, text, own in zip(ngram_counts(texts, references), texts, references, strict=True):
        theirs = BLEU(tokenize="none", force=True).corpus_score([" ".join(text)], [[" ".join(words)] for words in own])
        assert (row[MATCHES].tolist(), row[TOTALS].tolist()) == (theirs.counts, theirs.totals)
        assert (row[WRITTEN], row[EXPECTED]) == (theirs.sys_len, theirs.ref_len)


@given(EXAMPLES)
def test_texts_of_several_runs_share_their_references(examples):
    texts, references = zip(*examples, strict=True)
    once = ngram_counts(texts, references)
    places = list(range(len(texts)))
    again = ngram_counts([*texts, *texts[::-1]], references, [*places, *places[::-1]])
    assert (again == [*once, *once[::-1]]).all()
