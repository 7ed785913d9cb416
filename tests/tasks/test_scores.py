"""Every task's scores: what they were before, computed once, from rows that add up."""

import json
import re

import numpy as np
import pytest
from paths import GOLDEN
from score_samples import sampled_tasks

from ipt_jax.metrics.metric import Metric, mean, scored, total
from ipt_jax.tasks.base import Example
from ipt_jax.tasks.scores import example_headline, headline, score

BEFORE = json.loads((GOLDEN / "scores.json").read_text())


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    return sampled_tasks(tmp_path_factory.mktemp("tasks"))


def without_versions(signatures):
    return {name: re.sub(r"version:[\d.]+", "version:", each) for name, each in signatures.items()}


@pytest.mark.parametrize("name", sorted(BEFORE))
def test_scores_have_the_names_order_and_values_that_were_recorded(sampled, name):
    task, predictions, examples = sampled[name]
    before, found = BEFORE[name], score(task, predictions, examples).to_dict()

    assert (headline(task).name, example_headline(task)) == (before["metric"], before["example_metric"])
    expected = before["scores"]
    assert list(found) == list(expected)
    assert list(found["signatures"].items()) and without_versions(found.pop("signatures")) == expected.pop("signatures")
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=0, abs=1e-9), key
    singles = score(task, predictions, examples).examples
    assert [list(each) for each in singles] == [list(each) for each in before["examples"]]
    for own, each in zip(singles, before["examples"], strict=True):
        assert own == pytest.approx(each, rel=0, abs=1e-9)


@pytest.mark.parametrize("name", sorted(BEFORE))
def test_the_scores_of_a_part_follow_from_its_rows(sampled, name):
    task, predictions, examples = sampled[name]
    whole, part = score(task, predictions, examples), slice(1, 4)
    alone = score(task, predictions[part], examples[part])
    for metric in whole.metrics:
        rows = whole.rows[metric.name]
        assert len(rows) == len(examples)
        if metric.corpus:
            assert metric.corpus(total(rows[part])) == pytest.approx(alone.corpus[metric.name], abs=1e-9)
    assert whole.examples[part] == alone.examples


def test_every_metric_of_every_task_is_described(sampled):
    for task, predictions, examples in sampled.values():
        scores = score(task, predictions, examples)
        assert scores.described().keys() == {metric.name for metric in task.metrics if metric.name in scores.rows}
        assert all(each["title"] and "_" not in each["title"] for each in scores.described().values())
        assert {name for name, value in scores.corpus.items() if isinstance(value, float)} <= scores.described().keys()


class Weekdays:
    """A task with two metrics of one function, one that lacks what it needs, and one that some texts do not have."""

    name = "weekdays"

    def __init__(self):
        self.calls = 0
        first = Metric("weekday", "weekday", "", "convention:weekday", self.weekdays, mean(0), mean(0))
        some = Metric("long", "long", "", "", self.weekdays, mean(1), lambda row: row[1] or None)
        self.metrics = first, some, Metric("absent", "absent", "", "x", lambda predictions, examples: None, mean(0))

    def weekdays(self, predictions, examples):
        self.calls += 1
        return scored([[100.0 * text.endswith("day"), float(len(text))] for text in predictions])

    def subsets(self, examples):
        return {"short": [i for i, e in enumerate(examples) if len(e.target) < 7], "none": []}

    subset_metrics = ("long",)


def example(text):
    return Example(text, "x", text, (text,))


def test_what_examples_add_is_computed_once_for_all_metrics_subsets_and_single_texts():
    task = Weekdays()
    scores = score(task, ["Monday", "", "Wednesday"], [example("Monday"), example("Tuesday"), example("Friday")])

    assert task.calls == 1
    assert scores.to_dict() == {
        "weekday": pytest.approx(200 / 3),
        "long": 5,
        "short": {"examples": 2, "long": 7.5},
        "signatures": {"weekday": "convention:weekday"},
    }
    assert scores.examples == [{"weekday": 100, "long": 6}, {"weekday": 0}, {"weekday": 100, "long": 9}]
    assert scores.described().keys() == scores.rows.keys() == {"weekday", "long"}


def test_the_order_of_the_examples_changes_no_bit():
    values = np.random.default_rng(0).uniform(0, 100, (1000, 3))
    assert (total(values) == total(values[::-1])).all()


def test_predictions_that_do_not_fit_the_examples_are_errors():
    with pytest.raises(ValueError, match="2 predictions, 1 examples"):
        score(Weekdays(), ["a", "b"], [example("a")])
    with pytest.raises(ValueError, match="0 predictions, 0 examples"):
        score(Weekdays(), [], [])
    with pytest.raises(ValueError, match="example 1 needs a list of at least one reference"):
        score(Weekdays(), ["a", "b"], [example("a"), Example("b", "x", "b", ())])
