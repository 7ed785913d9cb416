"""Every score of a task's predictions: what each example adds is computed once, and all follows from that."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ipt_jax.metrics.metric import Metric, Rows, check_examples, total
from ipt_jax.tasks.base import Example, Task


@dataclasses.dataclass(frozen=True)
class Scores:
    """What predictions come to.

    Attributes:
      metrics: those of the task that the examples have what they need for.
      rows: name of a metric → f64[N, S], its statistics; a bootstrap draws from them.
      corpus: name of a metric → its score, 0 to 100; name of a subset → the same of the subset, and its `examples`.
      examples: for each example the name of a metric → the score of this text alone.
      signatures: name of a metric → how it was computed.
    """

    metrics: Sequence[Metric]
    rows: Mapping[str, Rows]
    corpus: Mapping[str, Any]
    examples: Sequence[Mapping[str, float]]
    signatures: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """`scores` in result.json."""
        return {**self.corpus, "signatures": dict(self.signatures)}

    def described(self) -> dict[str, dict[str, str]]:
        """`metrics` in result.json: what each is called in tables, and what it means."""
        return {metric.name: {"title": metric.title, "meaning": metric.meaning} for metric in self.metrics}


def score(task: Task, predictions: Sequence[str], examples: Sequence[Example]) -> Scores:
    """Scores one prediction for each example, by every metric of the task.

    Raises:
      ValueError: as `check_examples`.
      InputError: the task lacks files that its metrics need.
    """
    check_examples(predictions, examples)
    found = {function: function(predictions, examples) for function in {m.statistics: None for m in task.metrics}}
    metrics = [metric for metric in task.metrics if found[metric.statistics] is not None]
    rows = {metric.name: found[metric.statistics] for metric in metrics}
    corpus: dict[str, Any] = _corpus(metrics, rows)
    in_subsets = [metric for metric in metrics if metric.name in getattr(task, "subset_metrics", rows)]
    subsets = task.subsets(examples) if hasattr(task, "subsets") else {}
    for name, places in subsets.items():
        if places:
            corpus[name] = {"examples": len(places), **_corpus(in_subsets, rows, places)}
    return Scores(
        metrics,
        rows,
        corpus,
        [_of_text(metrics, rows, place) for place in range(len(examples))],
        {m.name: signature for m in metrics if m.corpus and (signature := m.signature_of(examples))},
    )


def headline(task: Task) -> Metric:
    """The metric that a result calls its score: the first of the task."""
    return task.metrics[0]


def example_headline(task: Task) -> str | None:
    """The metric that says in predictions.jsonl how good a single text is: the first that does; None without one."""
    return next((metric.name for metric in task.metrics if metric.per_example), None)


def _corpus(
    metrics: Sequence[Metric], rows: Mapping[str, Rows], places: Sequence[int] | slice = slice(None)
) -> dict[str, float]:
    return {metric.name: metric.corpus(total(rows[metric.name][places])) for metric in metrics if metric.corpus}


def _of_text(metrics: Sequence[Metric], rows: Mapping[str, Rows], place: int) -> dict[str, float]:
    values = {metric.name: metric.per_example(rows[metric.name][place]) for metric in metrics if metric.per_example}
    return {name: value for name, value in values.items() if value is not None}
