"""Trackers: a run's curves in TensorBoard, Weights & Biases, Trackio or one's own, beside metrics.jsonl.

What metrics.jsonl says is the truth. A tracker is told its rows again where a training goes on, so that it has each
step once. A tracker that fails is left out with a warning: no training ends for a dashboard.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import logging
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ipt_jax.errors import InputError
from ipt_jax.runtime import named_parts, processes
from ipt_jax.training.journal import JsonLinesJournal

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Curve:
    """One run, as a tracker knows it: each member of a population is one.

    Attributes:
      project: what its runs are grouped by: the name of the working directory.
      run: its id.
      folder: its run folder; what a tracker writes goes below.
      settings: those that decide its result, nested.
    """

    project: str
    run: str
    folder: Path
    settings: Mapping[str, Any]


class Tracker(Protocol):
    """What is told of one run; made of its `Curve` by the first of several processes."""

    def rewind(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Before the first step: the whole curve so far. What a tracker has behind it will be told again."""

    def log(self, row: Mapping[str, float]) -> None:
        """What was measured at a `step`. Steps never fall; one may come twice, with other numbers."""

    def finish(self) -> None:
        """The training ended, or was asked to leave."""


class TensorBoard:
    """Event files in `RUN/tensorboard`, written anew where a training goes on."""

    def __init__(self, curve: Curve):
        self._folder, self._writer = curve.folder / "tensorboard", None

    def rewind(self, rows: Sequence[Mapping[str, float]]) -> None:
        from tensorboardX import SummaryWriter

        shutil.rmtree(self._folder, ignore_errors=True)
        self._writer = SummaryWriter(str(self._folder))
        for row in rows:
            self.log(row)

    def log(self, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(name, value, int(row["step"]))

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _Appending:
    """A tracker that can only be added to: it is told whole steps, those behind its last one.

    A step that is trained again has the same bits, so that what a tracker has of it already is right.
    """

    def __init__(self, curve: Curve):
        self._curve, self._run = curve, None
        self._last, self._open = -1, {}

    def rewind(self, rows: Sequence[Mapping[str, float]]) -> None:
        self._run, self._last = self._begin()
        for row in rows:
            self.log(row)

    def log(self, row: Mapping[str, float]) -> None:
        if self._open and self._open["step"] != row["step"]:
            self._tell()
        self._open |= row

    def finish(self) -> None:
        if self._run is not None:
            self._tell()
            self._run.finish()

    def _tell(self) -> None:
        told, self._open = self._open, {}
        if told and told["step"] > self._last:
            self._last = int(told["step"])
            self._run.log({name: value for name, value in told.items() if name != "step"}, step=self._last)

    def _begin(self) -> tuple[Any, int]:
        """The tracker's own run, with `log` and `finish`, and the last step that it has (-1: none)."""
        raise NotImplementedError


class WeightsAndBiases(_Appending):
    """A run of wandb with the run's id; `WANDB_MODE=offline` writes it below the run folder, for `wandb sync`.

    A run that was offline is written anew where a training goes on, in the place of what was written before.
    """

    def _begin(self) -> tuple[Any, int]:
        import wandb

        curve = self._curve
        run = wandb.init(
            project=curve.project,
            id=curve.run,
            name=curve.run,
            dir=str(curve.folder),
            config=dict(curve.settings),
            resume="allow",
            reinit="create_new",
        )
        if run.offline:
            own = Path(run.settings.sync_dir).resolve()
            for older in own.parent.glob(f"offline-run-*-{curve.run}"):
                if older.resolve() != own:
                    shutil.rmtree(older)
        return run, run.step - 1


class Trackio(_Appending):
    """A run of Trackio with the run's id, in its own data base (`TRACKIO_DIR`)."""

    def _begin(self) -> tuple[Any, int]:
        import trackio
        from trackio import context_vars
        from trackio.sqlite_storage import SQLiteStorage

        curve = self._curve
        run = trackio.init(curve.project, name=curve.run, config=dict(curve.settings), resume="allow", embed=False)
        context_vars.current_run.set(None)  # another member's `init` would finish this run
        last = SQLiteStorage.get_max_step_for_run(curve.project, curve.run)
        return run, -1 if last is None else int(last)


# Name, which is that of the extra that installs it → the class and the package that it needs.
TRACKERS = {
    "tensorboard": (TensorBoard, "tensorboardX"),
    "wandb": (WeightsAndBiases, "wandb"),
    "trackio": (Trackio, "trackio"),
}


def named(names: str) -> list[Callable[[Curve], Tracker]]:
    """The trackers of `config.execution.trackers`: names separated by commas.

    Raises:
      InputError: nothing has that name, or its package is not installed.
    """
    return [_named(name.strip()) for name in names.split(",") if name.strip()]


def _named(name: str) -> Callable[[Curve], Tracker]:
    place = f"config.execution.trackers: {name!r}"
    if name in TRACKERS:
        made, package = TRACKERS[name]
        if importlib.util.find_spec(package) is None:
            raise InputError(f"{place} needs {package}, which is not installed: pip install 'ipt_jax[{name}]'")
        return made
    return named_parts.named(name, TRACKERS, named_parts.JOURNALS, "config.execution.trackers")


class TrackedJournal:
    """A journal of JSON Lines, and trackers that are told the same."""

    def __init__(self, truth: JsonLinesJournal, curves: Sequence[Curve], trackers: Sequence[Callable]):
        self.title, self._truth, self._curves = truth.title, truth, curves
        self._makers = trackers if processes.is_first() else ()
        self._trackers: list[list[Tracker]] = [[] for _ in curves]

    def log(self, member: int, rows: Sequence[Mapping[str, float]]) -> None:
        self._truth.log(member, rows)
        for row in rows:
            self._each(member, lambda tracker, row=row: tracker.log(row))

    def rewind(self, step: int) -> None:
        self._truth.rewind(step)
        for member in range(len(self._curves)):
            self._trackers[member] = []
            for maker in self._makers:
                self._guarded(member, maker, functools.partial(self._add, member, maker))
            if self._makers:
                rows = [{k: v for k, v in row.items() if _is_number(v)} for row in self._truth.rows(member)]
                self._each(member, lambda tracker, rows=rows: tracker.rewind(rows))

    def finish(self) -> None:
        self._truth.finish()
        for member in range(len(self._curves)):
            self._each(member, lambda tracker: tracker.finish())

    def _add(self, member: int, maker: Callable[[Curve], Tracker]) -> None:
        self._trackers[member].append(maker(self._curves[member]))

    def _each(self, member: int, tell: Callable[[Tracker], None]) -> None:
        for tracker in list(self._trackers[member]):
            if not self._guarded(member, tracker, lambda tracker=tracker: tell(tracker)):
                self._trackers[member].remove(tracker)

    def _guarded(self, member: int, who: Any, act: Callable[[], None]) -> bool:
        try:
            act()
        except Exception as error:  # of any library, its server or a full disk
            kind = who if isinstance(who, type) else type(who)
            told = (self._curves[member].run, kind.__name__, error)
            _log.warning("run %s: tracker %s failed and is told nothing more: %s", *told)
            return False
        return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
