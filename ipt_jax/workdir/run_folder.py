"""Run folders: where a run keeps what it made, and the names by which runs and methods are known.

<workdir>/runs/<run id>/run.json            the resolved run; the id is a hash of it
                        metrics.jsonl       a row per log step
                        checkpoints/        prompt, optimizer state, step
                        prompt.safetensors  the trained prompt; of another kind of adapter adapter.safetensors
                        predictions.jsonl   a row per example
                        result.json         the score; its presence says that the run is finished
<workdir>/results.jsonl                     a row per finished run
<workdir>/locks/<run id>                    held by the program that works on the run

The same seed gives the same bytes on the same machine, but for what is measured (`seconds`, `host_wait`,
`examples_per_second`, `compilations`), and for the names that Orbax gives the files of a checkpoint.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ipt_jax.workdir.disk import make_folder
from ipt_jax.workdir.json_files import append_rows, create_json, read_json


@dataclass(frozen=True)
class RunFolder:
    """The places of one run on disk. It creates nothing until something is written."""

    workdir: Path
    run_id: str

    @property
    def path(self) -> Path:
        return Path(self.workdir) / "runs" / self.run_id

    @property
    def run_json(self) -> Path:
        return self.path / "run.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def prompt(self) -> Path:
        return self.path / "prompt.safetensors"

    @property
    def adapter(self) -> Path:
        """What is trained where that is no soft prompt."""
        return self.path / "adapter.safetensors"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.jsonl"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def finished(self) -> bool:
        return self.result.exists()

    def finish(self, result: Mapping[str, Any]) -> None:
        """Writes result.json, then the row of this run in <workdir>/results.jsonl.

        Safe to repeat, also at the same time: the first result of a run stands, and its row is appended once.

        Raises:
          ValueError: the result belongs to another run.
          InputError: the disk refused it.
        """
        if result.get("run") != self.run_id:
            raise ValueError(f"the result of run {result.get('run')!r} does not belong in the folder {self.path}")
        make_folder(self.path)
        create_json(self.result, result)
        _append_results(Path(self.workdir), [self])


def run_folders(workdir: str | os.PathLike) -> list[RunFolder]:
    """The run folders of a working directory, finished or not, in the order of their ids."""
    runs = Path(workdir) / "runs"
    names = sorted(entry.name for entry in runs.iterdir() if entry.is_dir()) if runs.is_dir() else []
    return [RunFolder(Path(workdir), name) for name in names]


def sync_results(workdir: str | os.PathLike) -> int:
    """Appends to results.jsonl the finished runs it lacks, and returns how many.

    A kill between the two writes of `RunFolder.finish` leaves a result.json without its row.
    """
    return _append_results(Path(workdir), [folder for folder in run_folders(workdir) if folder.finished])


def _append_results(workdir: Path, folders: list[RunFolder]) -> int:
    if not folders:
        return 0
    return append_rows(
        workdir / "results.jsonl", [read_json(folder.result, {"run": str}) for folder in folders], unique_key="run"
    )
