"""Scores by the similarity of the demonstration."""

import numpy as np
import pytest

from ipt_jax.report.looks.similarity import by_similarity
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.runs import Run

SIMILARITIES = [0.0, 0.1, 0.2, 0.3, 0.35, 0.45, 0.55, 0.8, 0.9, 1.0, 1.0, 0.95]


def method(label, demonstrations, scores, prompt_tokens=0, seeds=1, retriever="dense"):
    shown = [[{"id": "t", "similarity": s}] * demonstrations for s in SIMILARITIES]
    predictions = [
        {"id": str(i), "score": score, "demonstrations": each}
        for i, (score, each) in enumerate(zip(scores, shown, strict=True))
    ]
    result = {"method": label, "demonstrations": demonstrations, "prompt_tokens": prompt_tokens, "retriever": retriever}
    runs = [
        Run({"run": f"{label}{i}", "seed": i, "score": 1.0, **result}, predictions=predictions) for i in range(seeds)
    ]
    return Method(label, tuple(runs))


PT = method("PT", 0, [1.0] * 12, prompt_tokens=5)
IPT = method("IPT", 1, [100 * s for s in SIMILARITIES], prompt_tokens=5, seeds=2)
ICL = method("ICL", 1, [3.0] * 12)


def test_every_example_is_in_one_bin_and_the_most_similar_come_first():
    found = by_similarity(Setting((ICL, PT, IPT)))
    assert found.guide == "IPT"
    for bins in (found.equal_width, found.quantiles):
        assert sum(each.examples for each in bins) == 12
        assert bins[0].high == 1.0 and bins[-1].low == 0.0
        assert all(above.low == below.high for above, below in zip(bins, bins[1:], strict=False))
    assert [each.examples for each in found.equal_width] == [4, 1, 1, 2, 2, 2]
    assert {each.examples for each in found.quantiles} <= {1, 2, 3}


def test_the_score_of_a_bin_is_the_mean_of_its_examples():
    bins = by_similarity(Setting((PT, IPT))).equal_width
    assert bins[0].scores == {"PT": 1.0, "IPT": pytest.approx(100 * np.mean([0.9, 1.0, 1.0, 0.95]))}


def test_of_a_sweep_the_length_of_the_papers_main_table_is_shown_if_pt_was_tuned_with_as_many_rows():
    def tuned(label, rows):
        return method(f"{label} {rows}", int(label == "IPT"), [1.0] * 12, prompt_tokens=rows)

    sweep = [tuned(label, rows) for rows in (1, 25, 100) for label in ("PT", "IPT")]
    assert list(by_similarity(Setting((ICL, *sweep))).equal_width[0].scores) == ["ICL", "PT 25", "IPT 25"]
    without_pt_25 = [one for one in sweep if one.label != "PT 25"]
    assert list(by_similarity(Setting((ICL, *without_pt_25))).equal_width[0].scores) == ["ICL", "PT 100", "IPT 100"]


def test_a_bin_without_examples_has_no_score():
    gap = [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    rows = [{"id": str(i), "score": 1.0, "demonstrations": [{"id": "t", "similarity": s}]} for i, s in enumerate(gap)]
    only = Method("ICL", (Run({**ICL.result}, predictions=rows),))
    bins = by_similarity(Setting((only,))).equal_width
    assert [each.examples for each in bins] == [6, 0, 0, 0, 0, 6] and bins[2].scores == {"ICL": None}


@pytest.mark.parametrize(
    "methods", [(PT,), (PT, method("ICL", 1, [1.0] * 12, retriever="random")), (method("ICL", 3, [1.0] * 12),)]
)
def test_without_one_retrieved_demonstration_there_are_no_bins(methods):
    assert by_similarity(Setting(methods)) is None
