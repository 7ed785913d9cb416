"""Scores of single examples, for tests and comparisons over the same examples."""

from __future__ import annotations

from ipt_jax.report.collect import Method


def example_scores(method: Method) -> dict[str, float]:
    """Example id → score, mean over the runs, for the examples that have a score in every run of the method."""
    per_run = [
        {row["id"]: row["score"] for row in run.predictions if row.get("score") is not None} for run in method.runs
    ]
    shared = [example for example in per_run[0] if all(example in scores for scores in per_run)]
    return {example: sum(scores[example] for scores in per_run) / len(per_run) for example in shared}
