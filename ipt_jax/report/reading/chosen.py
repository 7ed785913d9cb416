"""A part of what a report could show: some methods, and some of their metrics."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence

from ipt_jax.errors import InputError
from ipt_jax.report.reading.collect import Collection
from ipt_jax.report.reading.methods import Method


def chosen(collection: Collection, methods: Sequence[str], metrics: Sequence[str]) -> Collection:
    """The collection with these methods and metrics alone; all of them where none are named.

    The headline metric, which verdicts are judged by, stays in any case. Corrections for several tests count those that
    are shown.

    Args:
      methods: labels, as in the tables; a label that stands before ' (' fits all that begin with it.
      metrics: names, as in result.json.

    Raises:
      InputError: no setting has such a method or metric; the near name is suggested.
    """
    every = [method for setting in collection.settings for method in setting.methods]
    _check("--methods", methods, [name for method in every for name in (method.label, _short(method.label))])
    _check("--metrics", metrics, [name for method in every for name in method.result.get("scores") or {}])
    settings = []
    for setting in collection.settings:
        kept = [m for m in setting.methods if not methods or {m.label, _short(m.label)} & set(methods)]
        if kept:
            settings.append(dataclasses.replace(setting, methods=tuple(_measured(method, metrics) for method in kept)))
    return dataclasses.replace(collection, settings=tuple(settings))


def _short(label: str) -> str:
    """Without the numbers that tell methods of one name apart: 'PT (prompt_tokens=25)' → 'PT'."""
    return label.partition(" (")[0]


def _check(flag: str, named: Sequence[str], known: Sequence[str]) -> None:
    names = sorted(set(known) - {"signatures"})
    for name in named:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
            raise InputError(f"{flag}: there is no {name!r}; {hint}")


def _measured(method: Method, metrics: Sequence[str]) -> Method:
    if not metrics:
        return method
    runs = []
    for run in method.runs:
        keep = {*metrics, run.result["metric"], "signatures"}
        scores = {name: value for name, value in (run.result.get("scores") or {}).items() if name in keep}
        runs.append(dataclasses.replace(run, result={**run.result, "scores": scores}))
    return dataclasses.replace(method, runs=tuple(runs))
