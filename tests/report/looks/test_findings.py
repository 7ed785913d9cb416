"""The statistics of the report and the verdicts built on them, on scores made for the purpose."""

import math

import numpy as np
import pytest

from ipt_jax.report.looks.findings import findings
from ipt_jax.report.reading.collect import collect
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.runs import Run
from ipt_jax.report.reading.statistics import paired_bootstrap, spread


def method(label, scores_per_run, *, prompt_tokens=0, demonstrations=0, retriever=None, corpus=None):
    """A method with the given scores per example for each seed."""
    runs = []
    for seed, scores in enumerate(scores_per_run):
        known = [score for score in scores if score is not None]
        result = {
            "run": f"{label}{seed}",
            "method": label,
            "prompt_tokens": prompt_tokens,
            "demonstrations": demonstrations,
            "retriever": retriever,
            "seed": seed,
            "metric": "bleu_official",
            "score": corpus[seed] if corpus else sum(known) / max(1, len(known)),
            "training": {"steps": 10} if prompt_tokens else None,
        }
        rows = [{"id": f"test:{i}", "score": score} for i, score in enumerate(scores)]
        runs.append(Run(result, predictions=rows))
    return Method(label, tuple(runs))


def random_one_shot(*scores_per_run):
    return method("random", scores_per_run, demonstrations=1, retriever="random")


def test_a_spread_has_the_sample_deviation_and_a_single_value_has_none():
    assert str(spread([1.0, 3.0])) == "2.0 ± 1.4"
    assert spread([1.0, 3.0]).deviation == pytest.approx(math.sqrt(2))
    assert str(spread([2.0])) == "2.0"


def test_the_bootstrap_interval_agrees_with_the_normal_one_on_many_examples():
    rng = np.random.default_rng(1)
    b = rng.normal(30, 10, size=2_000)
    a = b + rng.normal(1.0, 5.0, size=2_000)
    difference = paired_bootstrap(a, b)
    half = 1.96 * np.std(a - b, ddof=1) / math.sqrt(2_000)
    assert difference.mean == pytest.approx(np.mean(a - b))
    assert difference.low == pytest.approx(difference.mean - half, abs=0.15 * half)
    assert difference.high == pytest.approx(difference.mean + half, abs=0.15 * half)


def test_the_bootstrap_is_paired_so_a_constant_difference_is_certain():
    scores = [0.0, 50.0, 100.0]
    difference = paired_bootstrap([score + 2 for score in scores], scores)
    assert (difference.mean, difference.low, difference.high) == (2.0, 2.0, 2.0)


def test_the_bootstrap_gives_the_same_interval_again_and_in_chunks():
    a, b = np.arange(50.0), np.arange(50.0)[::-1] ** 1.1
    assert paired_bootstrap(a, b) == paired_bootstrap(a, b)
    large = np.tile(a - b, 400)  # 20,000 examples: chunks of 50 resamples
    assert paired_bootstrap(large, 0 * large, samples=120).n == 20_000


def test_a_clear_difference_supports_the_claim_and_its_reverse_contradicts_it():
    low, high = [10.0 + i % 7 for i in range(50)], [30.0 + i % 5 for i in range(50)]
    better = method("PT", [high, high], prompt_tokens=5)
    worse = method("ICL", [low], demonstrations=1, retriever="dense")
    same = method("IPT", [[h if i % 2 else 20 - h for i, h in enumerate(low)]], prompt_tokens=5, demonstrations=1)
    found = findings(Setting((random_one_shot([20.0] * 50), worse, better, same)))
    by_claim = {finding.claim: finding for finding in found}
    assert by_claim["PT beats random"].verdict == "supported"
    assert by_claim["ICL beats random"].verdict == "contradicted"
    assert by_claim["IPT beats PT"].verdict == "contradicted"
    assert "(2 seeds)" in by_claim["PT beats random"].sentence


def test_an_interval_that_includes_zero_leaves_the_claim_open():
    contender = method("PT", [[20.0 + (-1) ** i * 5 for i in range(50)]], prompt_tokens=5, corpus=[25.0])
    (finding,) = findings(Setting((random_one_shot([20.0] * 50), contender)))
    assert finding.verdict == "open" and "includes zero" in finding.sentence
    assert finding.judged.comparison.difference == pytest.approx(5.0)


def test_a_corpus_score_that_disagrees_with_the_examples_leaves_the_claim_open():
    contender = method("PT", [[30.0] * 50], prompt_tokens=5, corpus=[10.0])
    (finding,) = findings(Setting((random_one_shot([20.0] * 50), contender)))
    assert finding.verdict == "open" and "do not agree" in finding.sentence


def test_examples_are_paired_by_id_over_those_that_both_methods_scored():
    contender = method("PT", [[None, 30.0, 40.0, 50.0]], prompt_tokens=5)
    baseline = random_one_shot([0.0, 10.0, 20.0], [0.0, 20.0, 30.0])
    (finding,) = findings(Setting((baseline, contender)))
    assert finding.judged.comparison.examples.n == 2
    assert finding.judged.comparison.examples.mean == 35.0 - 20.0  # mean of (30, 40) minus mean of (15, 25)


def test_without_scores_per_example_the_claim_is_open():
    contender = method("PT", [[None] * 3], prompt_tokens=5, corpus=[99.0])
    (finding,) = findings(Setting((random_one_shot([1.0] * 3), contender)))
    assert finding.verdict == "open" and finding.judged.comparison.examples is None


def test_least_similar_demonstrations_are_a_control_and_no_claim_is_made_for_them():
    farthest = method("least similar", [[5.0, 6.0]], demonstrations=1, retriever="dense")
    farthest.runs[0].result["layout"] = {"selection": "farthest"}
    nearest = method("retrieved", [[9.0, 8.0]], demonstrations=1, retriever="dense")
    setting = Setting((random_one_shot([1.0, 2.0]), nearest, farthest))
    assert [finding.claim for finding in findings(setting)] == ["retrieved beats random"]


def test_each_method_is_compared_with_random_one_shot_and_ipt_with_pt_and_with_its_demonstrations_alone(quickstart):
    (setting,) = collect([quickstart]).settings
    claims = [finding.claim for finding in findings(setting)]
    assert claims == [
        "ICL, retrieved one-shot beats ICL, random one-shot",
        "ICL, retrieved three-shot beats ICL, random one-shot",
        "PT beats ICL, random one-shot",
        "IPT beats ICL, random one-shot",
        "IPT beats PT",
        "IPT beats ICL, retrieved one-shot",
    ]
