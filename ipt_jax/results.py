"""Run folders: where a run keeps what it made, and the names by which runs and methods are known.

<workdir>/runs/<run id>/run.json            the resolved run; the id is a hash of it
                        metrics.jsonl       a row per log step
                        checkpoints/        prompt, optimizer state, step
                        prompt.safetensors  the trained prompt
                        predictions.jsonl   a row per example
                        result.json         the score; its presence says that the run is finished
<workdir>/results.jsonl                     a row per finished run
<workdir>/locks/<run id>                    held by the program that works on the run

The same seed gives the same bytes on the same machine, but for what is measured (`seconds`, `host_wait`,
`examples_per_second`, `compilations`), and for the names that Orbax gives the files of a checkpoint.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ipt_jax.disk import make_folder
from ipt_jax.json_text import canonical_json
from ipt_jax.storage import (
    append_rows,
    create_json,
    read_json,
)

_NUMBER_WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}


def run_id(config: Mapping[str, Any]) -> str:
    """First 12 hex digits of the sha256 of a resolved run as canonical JSON.

    The order of keys does not matter and a tuple counts as the list of its items; `1` and `1.0` differ.

    Raises:
      ValueError: a leaf is NaN or infinite.
      TypeError: a leaf has no JSON form.
    """
    return hashlib.sha256(canonical_json(config)).hexdigest()[:12]


def method_label(
    prompt_tokens: int,
    demonstrations: int,
    retriever: str | None,
    steps: int,
    prompt_source: str | None,
    selection: str = "nearest",
) -> str:
    """The name of a method in a table, derived from the numbers that define it.

    Args:
      prompt_tokens: rows of the soft prompt, P.
      demonstrations: demonstrations before each input, k.
      retriever: how they are chosen; 'random' is named so, every other one is 'retrieved', or 'least similar'
        where the selection is 'farthest'. Unused at k = 0.
      steps: training steps.
      prompt_source: what was loaded, such as 'a prompt' or 'PT of mtop'; None or '' where it starts from its
        initialiser.
      selection: 'nearest' or 'farthest'.

    Example:
      (0, 0) 'zero-shot' · (0, 3, 'bm25') 'ICL, retrieved three-shot' · (25, 0) with steps 'PT' ·
      (25, 1, 'dense') with steps 'IPT' · (25, 1, 'random') with steps 'IPT, random one-shot' ·
      (25, 1, 'dense') with 'a prompt' and no steps 'transfer, retrieved one-shot'.
    """
    number = _NUMBER_WORDS.get(demonstrations, str(demonstrations))
    chosen = "random" if retriever == "random" else "least similar" if selection == "farthest" else "retrieved"
    shots = f"{chosen} {number}-shot" if demonstrations else "zero-shot"
    if not prompt_tokens:
        return f"ICL, {shots}" if demonstrations else shots
    if not steps:
        if not prompt_source:
            return f"untrained prompt, {shots}"
        return f"transfer, {shots}" if prompt_source == "a prompt" else f"transfer of {prompt_source}, {shots}"
    name = "IPT" if demonstrations else "PT"
    if demonstrations and shots != "retrieved one-shot":  # the paper's IPT has one retrieved demonstration
        name += f", {shots}"
    return f"{name}, from {prompt_source}" if prompt_source else name


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
