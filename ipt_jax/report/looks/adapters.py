"""What each kind of adapter trains, keeps and costs, beside the score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipt_jax.report.drawing.setting_tables import score_cell
from ipt_jax.report.looks.cost import duration
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.metric_titles import metric_title
from ipt_jax.tables import Table

_COLUMNS = ("Trained numbers", "Bytes kept", "Train", "Train, TFLOP", "Evaluate, TFLOP")


def by_adapter(setting: Setting) -> Table | None:
    """A row per trained method, of means over its runs; None where all of them train one kind of adapter."""
    tuned = [method for method in setting.methods if method.tuned]
    if len({method.kind.adapter for method in tuned}) < 2:
        return None
    header = ["Method", metric_title(setting, setting["metric"]), *_COLUMNS, "Learning rate", "Seeds"]
    return Table(header, [_row(method) for method in tuned], scores=1)


def _row(method: Method) -> list[str]:
    results = [run.result for run in method.runs]
    trained, kept = (_mean(results, "training", key) for key in ("numbers", "bytes"))
    seconds, flop, evaluation = (
        _mean(results, *path) for path in (("seconds", "train"), ("arithmetic", "train"), ("arithmetic", "evaluate"))
    )
    rate = method.runs[0].learning_rate
    return [
        method.label,
        score_cell([method]),
        "–" if trained is None else f"{trained:,.0f}",
        "–" if kept is None else f"{kept:,.0f}",
        "–" if seconds is None else duration(seconds),
        *("–" if value is None else f"{value / 1e12:.3g}" for value in (flop, evaluation)),
        "–" if rate is None else f"{rate:g}",
        str(len(results)),
    ]


def _mean(results: list[Mapping[str, Any]], section: str, key: str) -> float | None:
    """Of the runs that say it; None where none does."""
    known = [(result.get(section) or {}).get(key) for result in results]
    known = [value for value in known if value is not None]
    return sum(known) / len(known) if known else None
