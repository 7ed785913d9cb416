"""Prompts that were tuned with one kind of demonstrations and tested with another: a table of both."""

from __future__ import annotations

from ipt_jax.report.drawing.setting_tables import score_cell
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.tables import Table


def trained_and_tested(setting: Setting) -> Table | None:
    """A row for each way of tuning, a column for each way of testing; None unless a prompt was tested in two ways."""
    cells: dict[str, dict[str, list[Method]]] = {}
    for method in setting.methods:
        source = method.result.get("prompt_source") or {}
        if method.runs[0].trained and not source:
            trained = str(method.result["method"])
        elif source.get("task") == setting["task"] and "method" in source and not method.runs[0].trained:
            trained = str(source["method"])
        else:
            continue
        cells.setdefault(trained, {}).setdefault(method.kind.shots, []).append(method)
    rows = {trained: found for trained, found in cells.items() if len(found) > 1}
    if not rows:
        return None
    columns = list(dict.fromkeys(shown for found in rows.values() for shown in found))
    return Table(
        ["Tuned as", *(f"Tested {shown}" for shown in columns)],
        [[trained, *(score_cell(found.get(shown, [])) for shown in columns)] for trained, found in rows.items()],
        scores=len(columns),
    )
