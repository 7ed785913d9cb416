"""ROUGE-L."""

import random

import pytest
from judged import single
from rouge_score import rouge_scorer

from ipt_jax.metrics.rouge import ROUGE_L


def sentences(count, seed):
    rng = random.Random(seed)
    words = ["The", "the", "cat,", "sat.", "on", "MAT's", "12", "café", "--", "naïve", "猫", "it's"]
    return [" ".join(rng.choices(words, k=rng.randrange(0, 15))) for _ in range(count)]


def test_rouge_l_is_the_rouge_score_packages_best_over_references():
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    predictions = sentences(200, seed=1)
    references = [sentences(1 + index % 4, seed=100 + index) for index in range(200)]
    expected = [100 * scorer.score_multi(r, p)["rougeL"].fmeasure for p, r in zip(predictions, references, strict=True)]

    found = [single(ROUGE_L, p, r) for p, r in zip(predictions, references, strict=True)]
    assert found == pytest.approx(expected)
    assert 0 < min(filter(None, expected)) < max(expected) and 0.0 in expected
    assert ROUGE_L.of_texts(predictions, references) == pytest.approx(sum(expected) / 200)
