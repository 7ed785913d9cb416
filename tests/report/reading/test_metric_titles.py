"""Metrics in tables: their names, and what is said of them."""

import pytest
from score_samples import sampled_tasks

from ipt_jax.metrics.metric import Metric, mean
from ipt_jax.report.reading.metric_titles import metric_meaning, metric_title
from ipt_jax.tasks.scores import score


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    return [score(*each) for each in sampled_tasks(tmp_path_factory.mktemp("tasks")).values()]


def test_a_metric_is_called_what_its_result_says():
    task = {"shares": Metric("shares", "share of weekdays", "by the calendar", "", lambda *_: None, mean(0))}
    setting = {"scores": {}, "metrics": {n: {"title": m.title, "meaning": m.meaning} for n, m in task.items()}}
    assert metric_title(setting, "shares") == "share of weekdays"
    assert metric_meaning(setting, "shares") == "by the calendar"


def test_results_that_do_not_say_it_have_the_titles_and_meanings_of_those_that_do(judged):
    for scores in judged:
        now = {"scores": scores.to_dict(), "metrics": scores.described()}
        before = {"scores": scores.to_dict(), "metrics": None}
        for metric in scores.metrics:
            if metric.name not in ("bleu_lowercase", "sentence_bleu"):  # without a title then
                assert metric_title(before, metric.name) == metric_title(now, metric.name)
                assert metric_meaning(before, metric.name) == metric_meaning(now, metric.name)


def test_a_metric_and_a_convention_without_words_are_left_to_name_and_signature():
    setting = {"scores": {"signatures": {"shares": "not recorded"}}, "metrics": None}
    assert metric_title(setting, "shares") == "shares"
    assert metric_meaning(setting, "shares") == metric_meaning({"scores": None, "metrics": None}, "shares") == ""


def test_no_metric_of_a_task_is_called_by_its_key_in_a_table(judged):
    for scores in judged:
        for name, each in scores.described().items():
            assert "_" not in metric_title({"metrics": {name: each}}, name)
