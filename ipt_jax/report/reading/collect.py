"""Reads working directories into what a report shows: settings with their methods, and notes on what is missing.

What is missing or unreadable becomes a note in the report, never a failure.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ipt_jax.errors import InputError
from ipt_jax.report.looks.expected import CONFIG, METRICS, PREDICTION, RESULT, Fields, misfit
from ipt_jax.report.reading.learning_rates import Candidate, Search, candidates_of
from ipt_jax.report.reading.methods import Method, Setting, table_order
from ipt_jax.report.reading.runs import Run, Unscored, identity
from ipt_jax.workdir.json_files import read_json, read_rows
from ipt_jax.workdir.run_folder import RunFolder, run_folders

_SETTING_KEYS = ("task", "task_title", "split", "examples", "data_hash", "metric", "dtype", "decoding")
_SETTING_KEYS += ("model", "model_fingerprint")  # other weights under one name are another model


@dataclass(frozen=True)
class Collection:
    """All a report shows.

    Attributes:
      notes: sentences about what is missing.
      names: what the experiments are called in their configs, each once.
    """

    settings: tuple[Setting, ...]
    notes: tuple[str, ...]
    names: tuple[str, ...] = ()


def collect(workdirs: Iterable[str | os.PathLike]) -> Collection:
    """Reads the finished runs of working directories.

    Raises:
      InputError: a working directory does not exist.
    """
    notes: list[str] = []
    runs: dict[str, Run] = {}
    unscored: dict[str, Unscored] = {}
    names: list[str] = []
    for workdir in map(Path, workdirs):
        if not workdir.is_dir():
            raise InputError(f"{workdir}: no such working directory; give the --workdir of an experiment.")
        if not (workdir / "config.json").exists():
            notes.append(f"{workdir} has no config.json.")
        elif name := _noted(notes, {}, read_json, workdir / "config.json").get("name"):
            names.append(str(name))
        for run in _read_workdir(workdir, notes):
            if isinstance(run, Unscored):
                unscored.setdefault(run.id, run)
                continue
            if run.id in runs:
                notes.append(f"Run {run.id} is in several working directories; the first one is shown.")
            runs.setdefault(run.id, run)
    if not runs:
        notes.append("There is no finished run yet.")
    missing = [run for run in unscored.values() if run.id not in runs]
    return Collection(_settings(list(runs.values()), missing), tuple(notes), tuple(dict.fromkeys(names)))


def _read_workdir(workdir: Path, notes: list[str]) -> Iterable[Run | Unscored]:
    unfinished = []
    folders = run_folders(workdir)
    failed = _failed_runs(workdir, notes)
    for folder in folders:
        if folder.finished:
            result = _noted(notes, None, read_json, folder.result)
            if result is not None and _shown(result, folder.result, notes):
                yield _read_run(folder, result, notes)
            continue
        config = _noted(notes, {}, _object_of, folder.run_json, CONFIG) if folder.run_json.exists() else {}
        step = failed.get(folder.run_id)
        yield Unscored(folder.run_id, config, step)
        if step is None:
            unfinished.append(folder.run_id)
        else:
            name = f"Run {folder.run_id} ({config.get('method')})"
            notes.append(f"{name} failed: its loss stopped being finite at step {step}. Lower its learning rate.")
    if unfinished:
        notes.append(f"Not finished and not shown: {', '.join(unfinished)}. The same command goes on with them.")
    known = {folder.run_id for folder in folders}
    for row in _noted(notes, [], read_rows, workdir / "results.jsonl"):
        if row.get("run") not in known and _shown(row, workdir / "results.jsonl", notes):
            notes.append(f"Run {row['run']} has a row in results.jsonl but no folder: only its scores are shown.")
            yield Run(row)


def _read_run(folder: RunFolder, result: Mapping[str, Any], notes: list[str]) -> Run:
    name = f"Run {folder.run_id} ({result.get('method')})"
    config = _noted(notes, {}, _object_of, folder.run_json, CONFIG)
    predictions = _noted(notes, [], _rows_of, folder.predictions, PREDICTION)
    metrics = _noted(notes, [], _rows_of, folder.metrics, METRICS)
    if not predictions:
        notes.append(f"{name} has no predictions: its examples are not shown and nothing is tested with it.")
    elif len(predictions) != result.get("examples", len(predictions)):
        notes.append(f"{name} has {len(predictions)} predictions of {result['examples']} examples.")
    if result.get("training") and not metrics:
        notes.append(f"{name} has no metrics: its training curve is not shown.")
    return Run(result, config, metrics, predictions)


def _failed_runs(workdir: Path, notes: list[str]) -> dict[str, int]:
    """Runs whose loss stopped being finite, and the step where it did."""
    failed: dict[str, int] = {}
    for record in sorted((workdir / "populations").glob("*/population.json")):
        told = _noted(notes, {}, read_json, record).get("failed")
        failed |= {run: step for run, step in told.items() if type(step) is int} if isinstance(told, dict) else {}
    return failed


def _shown(result: Mapping[str, Any], path: Path, notes: list[str]) -> bool:
    if what := misfit(result, RESULT):
        notes.append(f"{path}: a result is not shown: {what}.")
    return not what


def _object_of(path: Path, shape: Fields) -> dict[str, Any]:
    content = read_json(path)
    if what := misfit(content, shape):
        raise InputError(f"{path}: {what}.")
    return content


def _rows_of(path: Path, shape: Fields) -> list[dict[str, Any]]:
    rows = read_rows(path)
    for number, row in enumerate(rows, start=1):
        if what := misfit(row, shape):
            raise InputError(f"{path}:{number}: {what}.")
    return rows


def _noted(notes: list[str], default: Any, read: Any, path: Path, *shape: Fields) -> Any:
    """The content of a file, or a note on why there is none and the default."""
    try:
        return read(path, *shape)
    except (InputError, OSError) as error:
        notes.append(str(error) if isinstance(error, InputError) else f"{path}: {error.strerror or error}.")
        return default


def _settings(runs: list[Run], unscored: list[Unscored]) -> tuple[Setting, ...]:
    settings: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        shared = json.dumps([run.result.get(key) for key in _SETTING_KEYS], sort_keys=True)
        same = json.dumps([identity(run), run.learning_rate is None], sort_keys=True)
        settings.setdefault(shared, {}).setdefault(same, []).append(run)
    made = [_setting(list(groups.values()), unscored) for groups in settings.values()]
    labels = {method.label: method for setting in made for method in setting.methods}
    beside = tuple(sorted(labels.values(), key=table_order))
    made = [replace(setting, beside=beside) for setting in made]
    return tuple(sorted(made, key=lambda setting: (str(setting["model"]), setting.title)))


def _setting(groups: list[list[Run]], unscored: list[Unscored]) -> Setting:
    """Groups of runs that differ in seed and learning rate → methods and searches."""
    candidates = [candidates_of(runs, unscored) for runs in groups]
    methods, searches, passed_over = [], [], []
    for label, found in zip(_labels(groups, candidates), candidates, strict=True):
        if len(found) == 1:
            methods.append(Method(label, found[0].runs))
            continue
        search = Search(label, found)
        searches.append(search)
        for candidate in found:
            if candidate is search.chosen:
                methods.append(Method(label, candidate.runs))
            elif candidate.runs:
                method = Method(f"{label}, learning rate {candidate.rate:g}", candidate.runs)
                (passed_over if search.chosen else methods).append(method)
    searches.sort(key=lambda search: table_order(Method(search.label, search.runs)))
    return Setting(tuple(sorted(methods, key=table_order)), tuple(searches), tuple(passed_over))


def _labels(groups: list[list[Run]], candidates: list[tuple[Candidate, ...]]) -> list[str]:
    """The label of each group; those that share one get the leaves in which they differ, as `PT (steps=480)`."""
    identities = [
        identity(runs[0]) | {"training.learning_rate": found[0].rate if len(found) == 1 else "searched"}
        for runs, found in zip(groups, candidates, strict=True)
    ]
    labels = []
    for one in identities:
        same = [other for other in identities if other["method"] == one["method"]]
        keys = {key for other in same for key in other}
        differing = {k for k in keys if len({json.dumps(other.get(k), sort_keys=True) for other in same}) > 1}
        # The result says again what the layout says, under a shorter name.
        named = sorted(key for key in differing if key.removeprefix("layout.") not in differing - {key})
        leaves = [f"{_short(key, named)}={_plain(one.get(key))}" for key in named]
        label = str(one["method"])
        labels.append(f"{label} ({', '.join(leaves)})" if leaves else label)
    return labels


def _short(key: str, others: Iterable[str]) -> str:
    """'training.steps' → 'steps', where no other key ends alike."""
    last = key.rpartition(".")[2]
    return last if [other.rpartition(".")[2] for other in others].count(last) == 1 else key


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
