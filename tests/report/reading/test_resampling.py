"""Intervals of scores over examples: BLEU computed anew in every draw, means of scores, and scores that are neither."""

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from judged import judged_bleu

from ipt_jax.metrics.bleu import BLEU_LOWERCASE, BLEU_SACREBLEU, BLEU_UNIFIEDSKG
from ipt_jax.report.reading.collect import collect
from ipt_jax.report.reading.resampling import _bleu, _ngram_counts, interval_over_examples
from ipt_jax.report.reading.runs import Run
from ipt_jax.report.reading.statistics import paired_bootstrap, resampled_sums

WORDS = st.lists(st.sampled_from(["a", "b", "cat", "sat", "Mr.", "3.5", "it's", ","]), max_size=9).map(" ".join)


def run(predictions, references, metric=BLEU_UNIFIEDSKG, **changes):
    scored = judged_bleu(metric, predictions, references)
    result = {"metric": "bleu", "score": scored.value, "scores": {"signatures": {"bleu": scored.signature}}, **changes}
    rows = [
        {"id": str(i), "prediction": p, "references": r}
        for i, (p, r) in enumerate(zip(predictions, references, strict=True))
    ]
    return Run(result, predictions=rows)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(WORDS, st.lists(WORDS.filter(bool), min_size=1, max_size=3)), min_size=2, max_size=8),
    st.sampled_from([BLEU_UNIFIEDSKG, BLEU_SACREBLEU, BLEU_LOWERCASE]),
)
def test_bleu_from_counts_is_that_of_sacrebleu_on_any_texts(examples, metric):
    one = run(*zip(*examples, strict=True), metric)
    (counts,) = _ngram_counts([one.predictions], one.result)
    assert _bleu(counts.sum(axis=0), len(examples)) == pytest.approx(one.result["score"], abs=1e-9)


def test_bleu_of_drawn_examples_is_that_of_their_texts(quickstart):
    run = collect([quickstart]).settings[0].methods[2].runs[0]
    rows = run.predictions[:12]
    (counts,) = _ngram_counts([rows], run.result)
    drawn = resampled_sums(np.hstack([counts, np.eye(12)]))[:40]
    for sums, times in zip(drawn[:, :-12], drawn[:, -12:].astype(int), strict=True):
        texts = [row for row, n in zip(rows, times, strict=True) for _ in range(n)]
        expected = BLEU_UNIFIEDSKG.of_texts([row["prediction"] for row in texts], [row["references"] for row in texts])
        assert _bleu(sums, 12) == pytest.approx(expected, abs=1e-9)


def scored(scores, score=None):
    rows = [{"id": str(i), "score": each} for i, each in enumerate(scores)]
    return Run({"metric": "exact_match", "score": np.mean(scores) if score is None else score}, predictions=rows)


def test_a_score_that_is_a_mean_has_the_interval_of_the_bootstrap_of_its_mean():
    scores = [100.0 * (i % 3 == 0) for i in range(40)]
    expected = paired_bootstrap(scores, [0.0] * 40)
    assert interval_over_examples([scored(scores)]) == (expected.low, expected.high)


def test_seeds_are_averaged_in_every_draw():
    ours, theirs = [100.0 * (i % 3 == 0) for i in range(40)], [100.0 * (i % 3 == 1) for i in range(40)]
    mean = [(a + b) / 2 for a, b in zip(ours, theirs, strict=True)]
    assert interval_over_examples([scored(ours), scored(theirs)]) == pytest.approx(
        interval_over_examples([scored(mean)])
    )


def test_without_the_recorded_score_the_same_examples_or_two_of_them_there_is_no_interval():
    whole = scored([1.0, 2.0, 3.0])
    assert interval_over_examples([scored([1.0, 2.0, 3.0], score=2.1)]) is None
    assert interval_over_examples([whole, scored([1.0, 2.0])]) is None
    assert interval_over_examples([whole, replace(scored([1.0, 2.0]), predictions=())]) is None
    assert interval_over_examples([scored([1.0])]) is None
    assert interval_over_examples([replace(whole, predictions=())]) is None
