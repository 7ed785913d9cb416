"""The paper's main table from ours: a row per method, a column per setting, and the paper's own numbers below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ipt_jax.report.drawing.setting_tables import score_cell
from ipt_jax.report.looks.empties import cautions
from ipt_jax.report.reading.kinds import Kind
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.metric_titles import metric_title
from ipt_jax.report.reading.paper import models_beside, paper_kinds, paper_score
from ipt_jax.tables import Table


@dataclass(frozen=True)
class Overview:
    """One language model on several tasks.

    Attributes:
      model: its name, and the number format.
      table: `Method`, then a column per setting; rows of the paper are called "Paper, …".
      notes: what a reader must know of the columns.
    """

    model: str
    table: Table
    notes: tuple[str, ...]


def overviews(settings: Sequence[Setting]) -> list[Overview]:
    """One for each language model that was tried on at least two tasks.

    A row has a method with a number of prompt rows that at least two tasks have in common; what only one has stands in
    its own table. Where runs of one setting differ in something else (steps) the cell says "several".
    """
    by_model: dict[str, list[Setting]] = {}
    for setting in settings:
        by_model.setdefault(f"{setting['model']}, {setting['dtype']}", []).append(setting)
    return [
        _overview(model, found) for model, found in by_model.items() if len({setting["task"] for setting in found}) > 1
    ]


def _overview(model: str, settings: Sequence[Setting]) -> Overview:
    """A column per setting: scores of other examples or decoding do not stand in one column."""
    rows: dict[tuple[Kind, int], dict[int, list[Method]]] = {}
    for column, setting in enumerate(settings):
        for method in setting.methods:
            if method.result.get("prompt_source"):
                continue  # these have a table of their own, see `transfer`
            key = method.kind, method.prompt_tokens
            rows.setdefault(key, {}).setdefault(column, []).append(method)
    shared = {key: cells for key, cells in rows.items() if len({settings[i]["task"] for i in cells}) > 1}
    lengths = {rows for _, rows in shared if rows}
    columns, tasks = range(len(settings)), [str(setting["task"]) for setting in settings]
    cells = [[_name(*key, lengths), *(score_cell(found.get(i, [])) for i in columns)] for key, found in shared.items()]
    beside = dict.fromkeys(name for task in tasks for name in models_beside(task, model))
    for name in beside:
        for kind in paper_kinds(name):
            scores = [paper_score(name, kind, task) for task in tasks]
            if any(scores):
                cells.append([f"Paper, {name}: {kind.label}", *(str(score) if score else "–" for score in scores)])
    header = ["Method", *(f"{setting.task_title}, {metric_title(setting, setting['metric'])}" for setting in settings)]
    notes = tuple(
        f"{setting.task_title}: {setting['split']} split, {setting.size}, {metric_title(setting, setting['metric'])}."
        for setting in settings
    )
    notes += tuple(f"{setting.task_title}: {caution}" for setting in settings for caution in cautions(setting))
    return Overview(model, Table(header, cells, scores=len(settings)), notes)


def _name(kind: Kind, prompt_rows: int, lengths: set[int]) -> str:
    """With the number of prompt rows where methods differ in it."""
    return f"{kind.label}, {prompt_rows} rows" if prompt_rows and len(lengths) > 1 else kind.label
