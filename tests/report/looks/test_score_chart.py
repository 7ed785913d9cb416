"""The chart of all methods: what it shows of each, and the paper's points."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from ipt_jax.report.looks.score_chart import score_chart
from ipt_jax.report.reading.collect import collect
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.runs import Run
from ipt_jax.report.reading.statistics import spread


@pytest.fixture(scope="module")
def chart(setting):
    return score_chart(setting)


@pytest.fixture(scope="module")
def dart(study):
    return next(setting for setting in collect([study]).settings if setting["task"] == "dart")


def words(figure):
    return [each.text.strip() for each in ElementTree.fromstring(figure.inline).iter("text")]


def test_the_chart_names_every_method_with_its_score(setting, chart):
    shown = words(chart)
    assert {method.label for method in setting.methods} < set(shown)
    assert str(spread(setting.methods[-1].scores)) in shown and "Paper, BLOOM-1.1B" not in shown


def test_the_caption_says_what_point_bar_and_stroke_are(setting, chart):
    caption = chart.caption
    assert caption.startswith("BLEU (UnifiedSKG) of each method on 100 examples, the mean over its seeds")
    assert "single seeds" in caption and "95 % intervals of a bootstrap over the examples" in caption
    bare = [replace(m, runs=tuple(replace(run, predictions=()) for run in m.runs)) for m in setting.methods]
    caption = score_chart(Setting(tuple(bare))).caption
    assert "could not be computed" in caption and "bootstrap" not in caption


def test_the_papers_points_stand_beside_where_its_task_was_run(dart):
    figure = score_chart(dart)
    assert {"Paper, BLOOM-1.1B", "Paper, OPT-1.3B", "Paper, GPT-2-XL"} < set(words(figure))
    assert "Hollow marks" in figure.caption


def test_results_that_do_not_count_their_examples_are_drawn_too(setting):
    unknown = [Method(m.label, (Run({**m.result, "examples": None}),)) for m in setting.methods]
    assert "on examples of unknown number" in score_chart(Setting(tuple(unknown))).caption


def test_a_method_alone_has_no_chart(setting):
    assert score_chart(Setting(setting.methods[:1])) is None


def test_markup_and_formulas_in_a_label_are_text(setting):
    odd = replace(setting.methods[0], label="<b>$x^2$</b> & more than there is room for above the row of a method")
    figure = score_chart(Setting((odd, *setting.methods[1:])))
    assert "<b>" not in figure.inline
    assert "<b>$x^2$</b> & more than there is room for …" in words(figure)
