"""Reads working directories into what a report shows: settings, their methods, and each method's runs.

A *setting* is what a fair comparison shares: task, split, number of examples, data, language model, metric,
number format and decoding. A *method* is the set of finished runs of one setting that differ in nothing but
their seed. What is missing or unreadable becomes a note in the report, never a failure.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ipt_jax.errors import InputError
from ipt_jax.results import RunFolder, read_json, read_rows, run_folders

_SETTING_KEYS = ("task", "task_title", "split", "examples", "data_hash", "model", "metric", "dtype", "decoding")


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
      result: result.json.
      config: run.json, or {} when it is missing.
      metrics: rows of metrics.jsonl.
      predictions: rows of predictions.jsonl.
    """

    result: Mapping[str, Any]
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[Mapping[str, Any]] = ()
    predictions: Sequence[Mapping[str, Any]] = ()

    @property
    def id(self) -> str:
        return self.result["run"]

    @property
    def seed(self) -> int:
        return self.result.get("seed") or 0

    @property
    def trained(self) -> bool:
        return bool(self.result.get("training"))


@dataclass(frozen=True)
class Method:
    """Runs that differ only in their seed, in the order of their seeds.

    Attributes:
      label: the method's name; where two methods of a setting share one, with the settings they differ in.
    """

    label: str
    runs: tuple[Run, ...]

    @property
    def result(self) -> Mapping[str, Any]:
        """The result of the first run, for all that the runs share."""
        return self.runs[0].result

    @property
    def prompt_tokens(self) -> int:
        return self.result.get("prompt_tokens") or 0

    @property
    def demonstrations(self) -> int:
        return self.result.get("demonstrations") or 0

    @property
    def retriever(self) -> str | None:
        return self.result.get("retriever") if self.demonstrations else None

    def run_label(self, run: Run) -> str:
        return self.label if len(self.runs) == 1 else f"{self.label}, seed {run.seed}"


@dataclass(frozen=True)
class Setting:
    """The methods that may be compared with one another, in the order of the table."""

    methods: tuple[Method, ...]

    def __getitem__(self, key: str) -> Any:
        """What all runs of the setting share: one of task, task_title, split, examples, model, metric, …"""
        return self.methods[0].result.get(key)

    @property
    def task_title(self) -> str:
        return str(self["task_title"] or self["task"] or "unnamed task")

    @property
    def title(self) -> str:
        return f"{self.task_title}, {self['split']} split, {self['model']}"

    @property
    def runs(self) -> list[Run]:
        return [run for method in self.methods for run in method.runs]

    @property
    def synthetic(self) -> bool:
        """Whether the data calls itself synthetic. Its scores must not be mistaken for those of a real data set."""
        return "synthetic" in f"{self['task_title']} {self['task']}".lower()


@dataclass(frozen=True)
class Collection:
    """All a report shows; `notes` are sentences about what is missing."""

    settings: tuple[Setting, ...]
    notes: tuple[str, ...]


def collect(workdirs: Iterable[str | os.PathLike]) -> Collection:
    """Reads the finished runs of working directories.

    Raises:
      InputError: a working directory does not exist.
    """
    notes: list[str] = []
    runs: dict[str, Run] = {}
    for workdir in map(Path, workdirs):
        if not workdir.is_dir():
            raise InputError(f"{workdir}: no such working directory; give the --workdir of an experiment.")
        if not (workdir / "config.json").exists():
            notes.append(f"{workdir} has no config.json.")
        for run in _read_workdir(workdir, notes):
            if run.id in runs:
                notes.append(f"Run {run.id} is in several working directories; the first one is shown.")
            runs.setdefault(run.id, run)
    if not runs:
        notes.append("There is no finished run yet.")
    return Collection(_settings(list(runs.values())), tuple(notes))


def _read_workdir(workdir: Path, notes: list[str]) -> Iterable[Run]:
    unfinished = []
    folders = run_folders(workdir)
    for folder in folders:
        if folder.finished:
            result = _noted(notes, None, read_json, folder.result)
            if result is not None and _complete(result, folder.result, notes):
                yield _read_run(folder, result, notes)
        else:
            unfinished.append(folder.run_id)
    if unfinished:
        notes.append(f"Not finished and not shown: {', '.join(unfinished)}. The same command goes on with them.")
    known = {folder.run_id for folder in folders}
    for row in _noted(notes, [], read_rows, workdir / "results.jsonl"):
        if row.get("run") not in known and _complete(row, workdir / "results.jsonl", notes):
            notes.append(f"Run {row['run']} has a row in results.jsonl but no folder: only its scores are shown.")
            yield Run(row)


def _read_run(folder: RunFolder, result: Mapping[str, Any], notes: list[str]) -> Run:
    name = f"Run {folder.run_id} ({result.get('method')})"
    config = _noted(notes, {}, read_json, folder.run_json)
    predictions = _noted(notes, [], read_rows, folder.predictions)
    metrics = _noted(notes, [], read_rows, folder.metrics)
    if not predictions:
        notes.append(f"{name} has no predictions: its examples are not shown and nothing is tested with it.")
    elif len(predictions) != result.get("examples", len(predictions)):
        notes.append(f"{name} has {len(predictions)} predictions of {result['examples']} examples.")
    if result.get("training") and not metrics:
        notes.append(f"{name} has no metrics: its training curve is not shown.")
    return Run(result, config, metrics, predictions)


def _complete(result: Mapping[str, Any], path: Path, notes: list[str]) -> bool:
    missing = [key for key in ("run", "method", "metric", "score") if result.get(key) is None]
    if missing:
        notes.append(f"{path}: a result without {', '.join(missing)} is not shown.")
    return not missing


def _noted(notes: list[str], default: Any, read: Any, path: Path) -> Any:
    """The content of a file, or a note on why there is none and the default."""
    try:
        return read(path)
    except (InputError, OSError) as error:
        notes.append(str(error) if isinstance(error, InputError) else f"{path}: {error.strerror or error}.")
        return default


def _settings(runs: list[Run]) -> tuple[Setting, ...]:
    settings: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        shared = json.dumps([run.result.get(key) for key in _SETTING_KEYS], sort_keys=True)
        settings.setdefault(shared, {}).setdefault(json.dumps(method_identity(run), sort_keys=True), []).append(run)
    return tuple(_setting(list(methods.values())) for methods in settings.values())


def _setting(methods: list[list[Run]]) -> Setting:
    labels = _labels(methods)
    built = [
        Method(label, tuple(sorted(runs, key=lambda run: run.seed)))
        for label, runs in zip(labels, methods, strict=True)
    ]
    return Setting(tuple(sorted(built, key=_order)))


def _order(method: Method) -> tuple:
    """Zero-shot, random before retrieved ICL, few before many demonstrations; then PT, IPT, loaded prompts."""
    trained = bool(method.result.get("training"))
    if not method.prompt_tokens:
        kind = 0
    elif trained:
        kind = 2 if method.demonstrations else 1
    else:
        kind = 3
    retrieved = method.retriever not in (None, "random")
    return kind, retrieved, method.demonstrations, method.prompt_tokens, method.label


def method_identity(run: Run) -> dict[str, Any]:
    """What makes two runs the same method: every leaf of the resolved run, or of the result, except seeds."""
    result = run.result
    leaves = flatten(run.config) if run.config else {}
    shown = ("method", "prompt_tokens", "demonstrations", "retriever", "attention")
    leaves |= {key: result.get(key) for key in shown}
    if not run.config:
        leaves |= {"learning_rate": (result.get("training") or {}).get("learning_rate")}
    return {key: value for key, value in leaves.items() if key.rpartition(".")[2] not in ("seed", "run")}


def _labels(methods: list[list[Run]]) -> list[str]:
    """The label of each method; those that share one get the leaves in which they differ, as `PT (P=5)`."""
    identities = [method_identity(runs[0]) for runs in methods]
    labels = []
    for identity in identities:
        same = [other for other in identities if other["method"] == identity["method"]]
        differing = [
            f"{key}={json.dumps(identity.get(key))}"
            for key in sorted({key for other in same for key in other})
            if len({json.dumps(other.get(key), sort_keys=True) for other in same}) > 1
        ]
        label = str(identity["method"])
        labels.append(f"{label} ({', '.join(differing)})" if differing else label)
    return labels


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{'model': {'dtype': 'float32'}} → {'model.dtype': 'float32'}."""
    leaves = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
