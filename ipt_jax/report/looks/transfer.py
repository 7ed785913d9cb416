"""Prompts on other tasks than their own: each against in-context learning with the same demonstrations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ipt_jax.report.looks.comparison import Judged, compare, judge
from ipt_jax.report.reading.kinds import Kind
from ipt_jax.report.reading.methods import Method, Setting


@dataclass(frozen=True)
class Cell:
    """A prompt of one task on another, or on its own.

    Attributes:
      source, target: names of tasks.
      judged: against the target's ICL with the same demonstrations; its p-value is corrected for all cells of other
        tasks' prompts; prompts on their own task are corrected apart.
    """

    source: str
    target: str
    judged: Judged


@dataclass(frozen=True)
class Transfer:
    """The prompts of one language model that were tuned in one way, on every task where they were tested.

    Attributes:
      model: the language model.
      trained: the method by which the prompts were tuned, such as `PT`.
      tested: the label of the ICL that they are compared with, which shows the same demonstrations.
      shots: these demonstrations in words.
      kind: what the numbers of their tuning make it; None where that run is not among those that are shown.
    """

    model: str
    trained: str
    tested: str
    shots: str
    kind: Kind | None
    cells: tuple[Cell, ...]

    @property
    def tasks(self) -> list[str]:
        """Sources and targets, in the order of their names."""
        return sorted({task for cell in self.cells for task in (cell.source, cell.target)})

    @property
    def foreign(self) -> list[Cell]:
        """Cells whose prompt was tuned on another task: those that the paper's claim is about."""
        return [cell for cell in self.cells if cell.source != cell.target]


def transfers(settings: Iterable[Setting]) -> list[Transfer]:
    """Of every language model and way of tuning and testing, where any prompt was tested on another task."""
    settings = list(settings)
    kinds = {run.id: method.kind for setting in settings for method in setting.all_methods for run in method.runs}
    found: dict[tuple[str, str, str, str, Kind | None], list[tuple[str, str, Method, Method]]] = {}
    for setting in settings:
        for method in setting.methods:
            source = method.result.get("prompt_source") or {}
            baseline = setting.without_prompt(method)
            if source.get("method") and baseline and not method.runs[0].trained:
                model, kind = f"{setting['model']}, {setting['dtype']}", kinds.get(source.get("run"))
                key = model, source["method"], baseline.label, baseline.kind.shots, kind
                found.setdefault(key, []).append((source["task"], str(setting["task"]), method, baseline))
    return [
        Transfer(*key, _cells(pairs))
        for key, pairs in found.items()
        if any(source != target for source, target, _, _ in pairs)
    ]


def _cells(pairs: Sequence[tuple[str, str, Method, Method]]) -> tuple[Cell, ...]:
    cells = []
    for foreign in (True, False):
        chosen = [pair for pair in pairs if (pair[0] != pair[1]) == foreign]
        judged = judge([compare(method, baseline) for _, _, method, baseline in chosen])
        cells += [Cell(source, target, each) for (source, target, _, _), each in zip(chosen, judged, strict=True)]
    return tuple(cells)
