"""Where a training tells how it goes: a journal of each population, the first kind of which are metrics.jsonl files."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ipt_jax.adapters import monitors
from ipt_jax.runtime import processes
from ipt_jax.workdir.json_files import append_rows, read_rows, write_rows

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Cadence:
    """After how many steps something is done, each for itself.

    Attributes:
      evaluate: the dev loss is measured; it is before the first step and after the last, too.
      checkpoint: the state is saved; what `kill -9` can cost.
      log: a row of metrics is written.
    """

    evaluate: int
    checkpoint: int
    log: int


class Journal(Protocol):
    """What the loop tells of a population; `training.trackers` has others beside that of JSON Lines.

    Attributes:
      title: what the training is called in its bar and messages.
    """

    title: str

    def log(self, member: int, rows: Sequence[Mapping[str, float]]) -> None:
        """Adds rows of a member: each has its `step`, and the numbers that were measured there."""

    def rewind(self, step: int) -> None:
        """Before the first step: rows behind this one are forgotten (-1: all), because they will be told again."""

    def finish(self) -> None:
        """Behind the last call of the others, whether the training ended or was left."""


class JsonLinesJournal:
    """Rows in a file for each member, which the first of several processes writes; warns of members that do not learn.

    Args:
      title: as of `Journal`.
      files: a metrics.jsonl for each member.
      names: what each member is called in warnings.
      warn_after: steps before which nothing is warned of.
    """

    def __init__(self, title: str, files: Sequence[Path], names: Sequence[str], warn_after: int):
        self.title, self._files, self._names, self._warn_after = title, files, names, warn_after
        self._warned: set[int] = set()

    def log(self, member: int, rows: Sequence[Mapping[str, float]]) -> None:
        if not processes.is_first():
            return
        append_rows(self._files[member], rows)
        if "dev_loss" in rows[-1] and member not in self._warned:
            complaint = monitors.complaint(self.rows(member), self._warn_after)
            if complaint:
                self._warned.add(member)
                _log.warning("%s: %s", self._names[member], complaint)

    def rewind(self, step: int) -> None:
        processes.from_first(lambda: self._rewind(step))

    def _rewind(self, step: int) -> None:
        for member, file in enumerate(self._files):
            rows = self.rows(member)
            kept = [row for row in rows if row["step"] <= step]
            if len(kept) < len(rows):
                write_rows(file, kept)

    def finish(self) -> None:
        """Nothing is open: each row is on disk once it is told."""

    def rows(self, member: int) -> list[dict[str, Any]]:
        """What a member's file says now."""
        return read_rows(self._files[member], {"step": int})
