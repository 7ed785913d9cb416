"""A config → the runs it stands for, checked and reduced to what matters → populations."""

from __future__ import annotations

import copy
import difflib
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np

from ipt_jax.errors import InputError
from ipt_jax.experiment import schema
from ipt_jax.experiment.prompt_sources import over_tasks
from ipt_jax.experiment.run import Run
from ipt_jax.experiment.settings import check, check_execution, reduced
from ipt_jax.setting import leaves, problem
from ipt_jax.tasks import check_name

# What a prompt carries for itself: runs that differ in nothing else train and decode as one population.
_PER_MEMBER = [path for path, leaf in schema.decisive() if leaf.setting.per_member]


def expand(config: ml_collections.ConfigDict) -> list[tuple[str, dict[str, Any]]]:
    """The runs of an experiment, each a name and its plain nested settings.

    `config.runs` maps a name to what differs from the base. A tuple where a setting is a single value is an axis:
    `{"seed": (0, 1)}` is two runs. So is one in the base: `config.training.learning_rate = (1e-3, 3e-3)` doubles every
    run that does not say its own. `config.tasks` and `config.models` repeat all runs for each task
    and language model they name. `run:NAME@*` as the source of a prompt is an axis too, over those tasks (see
    `sources`).

    Raises:
      InputError: an override of a leaf that does not exist, or a value that is out of range.
    """
    plain = _without_numpy(config.to_dict())
    for leaf in leaves(schema.Experiment):
        if leaf.name not in schema.DECIDES and (what := problem(leaf, plain[leaf.name])):
            raise InputError(f"config.{leaf.name}={plain[leaf.name]!r} {what}")
    settings = _with_floats({section: plain[section] for section in schema.DECIDES})
    base = copy.deepcopy(settings)
    searches = dict(_take_axes(base))
    check_execution(plain["execution"])
    expanded: dict[str, tuple[str, dict[str, Any]]] = {}
    tasks = _names(plain["tasks"])
    for (place, setting), (name, overrides) in itertools.product(
        list(_settings(plain, tasks)), (plain["runs"] or {plain["name"]: {}}).items()
    ):
        merged = copy.deepcopy(base)
        _override(merged, setting, place)
        _override(merged, overrides, f"config.runs.{name}")
        for path, values in searches.items():
            if not (_says(overrides, path) or _says(setting, path)):
                _section_at(merged, path)[path[-1]] = values
        merged["prompt"]["source"] = over_tasks(merged["prompt"]["source"], tasks or [merged["task"]["name"]])
        for one in _product(merged, base):
            check(one, f"run {name!r}: ")
            one = reduced(one, plain["execution"]["platform"])
            expanded.setdefault(json.dumps(one, sort_keys=True), (name, one))
    return list(expanded.values())


def _settings(plain: Mapping[str, Any], tasks: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each combination of a task and a language model overrides, and where the config says so."""
    for task in tasks:
        check_name(task, "config.tasks")
    for task in plain["per_task"]:
        check_name(task, "config.per_task")
    for model, task in itertools.product(_names(plain["models"]) or [None], tasks or [None]):
        setting: dict[str, Any] = {}
        place = f"config.per_task.{task}"
        if task is not None:
            setting = dict(_section(copy.deepcopy(plain["per_task"].get(task, {})), place))
            own = {"name": task}
            if plain["data_dir"]:
                own["data_dir"] = os.path.join(plain["data_dir"], task)
            setting["task"] = {**own, **_section(setting.get("task", {}), f"{place}.task")}
        if model is not None:
            setting["model"] = {**_section(setting.get("model", {}), f"{place}.model"), "source": model}
        yield place, setting


def _section(value: Any, place: str) -> Mapping[str, Any]:
    """The value itself, which must be a section."""
    if not isinstance(value, Mapping):
        raise InputError(f"{place}={value!r} must be a section of settings")
    return value


def _without_numpy(value: Any) -> Any:
    """NumPy's numbers as Python's, which have a place in a run's id."""
    if isinstance(value, Mapping):
        return {key: _without_numpy(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_without_numpy, value))
    return value.item() if isinstance(value, np.generic) else value


def _names(text: str) -> list[str]:
    """What stands between the commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def populations(runs: Iterable[Run]) -> list[list[Run]]:
    """Groups runs that differ only in what a prompt carries for itself.

    The order of first members is kept among those that can start at the same time: no group waits for a later one, and
    no run for another one of its group.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        shared = run.identity()
        for path in _PER_MEMBER:
            section = shared
            for part in path[:-1]:
                section = section[part] or {}
            section.pop(path[-1], None)
        groups.setdefault(json.dumps([shared, run.depth], sort_keys=True), []).append(run)
    return sorted(groups.values(), key=lambda group: group[0].depth)


def _override(target: dict[str, Any], overrides: Mapping[str, Any], place: str) -> None:
    for key, value in _section(overrides, place).items():
        if place.endswith((".task.options", ".training.optimizer_options")) and key not in target:
            target[key] = value  # options have names of their own; `settings.check` and `resolve_options` know them
            continue
        if key not in target:
            near = difflib.get_close_matches(key, target, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(sorted(target))}"
            raise InputError(f"{place}.{key} is not a setting{hint}")
        if isinstance(target[key], dict):
            if not isinstance(value, Mapping):
                raise InputError(f"{place}.{key}={value!r} must be a section with: {', '.join(sorted(target[key]))}")
            _override(target[key], value, f"{place}.{key}")
        else:
            _check_type(value, target[key], f"{place}.{key}")
            target[key] = value


def _check_type(value: Any, base: Any, place: str) -> None:
    """A value has the type of the base's; a tuple of such values is an axis."""
    wanted = (int, float) if isinstance(base, float) else (bool, str) if isinstance(base, bool) else (type(base),)
    values = value if isinstance(value, tuple) and not isinstance(base, tuple) else (value,)
    for one in values:
        if not isinstance(one, wanted) or (isinstance(one, bool) and not isinstance(base, bool)):
            raise InputError(f"{place}={value!r} must be like {base!r}: {wanted[-1].__name__}, or a tuple of such")


def _product(settings: dict[str, Any], base: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """One copy for every combination of the axes."""
    axes = list(_axes(settings, base))
    for values in itertools.product(*(values for _, values in axes)):
        copied = copy.deepcopy(settings)
        for (path, _), value in zip(axes, values, strict=True):
            section = copied
            for part in path[:-1]:
                section = section[part]
            section[path[-1]] = value
        yield copied


def _take_axes(base: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], tuple]]:
    """Takes the axes out of the base, which keeps the first value of each: overrides are to be of its type."""
    for path, leaf in schema.decisive():
        section = _section_at(base, path)
        value = section[path[-1]]
        if isinstance(value, tuple) and not isinstance(leaf.default, tuple) and leaf.kind in (int, float, bool, str):
            place = f"config.{'.'.join(path)}"
            if not value:
                raise InputError(f"{place}=() has no value; give at least one")
            _check_type(value, value[0], place)
            section[path[-1]] = value[0]
            yield path, value


def _section_at(settings: Any, path: Sequence[str]) -> Any:
    for part in path[:-1]:
        settings = settings[part]
    return settings


def _says(overrides: Mapping[str, Any], path: Sequence[str]) -> bool:
    """Whether a leaf is among them; what is no section is looked at elsewhere."""
    for part in path:
        if not isinstance(overrides, Mapping) or part not in overrides:
            return False
        overrides = overrides[part]
    return True


def _with_floats(settings: dict[str, Any]) -> dict[str, Any]:
    """A whole number becomes the float that is meant, as ml_collections does where it knows the type."""

    def as_float(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(as_float, value))
        return float(value) if type(value) is int and abs(value) <= sys.float_info.max else value

    changed = copy.deepcopy(settings)
    for path, leaf in schema.decisive():
        if leaf.kind is float:
            section = _section_at(changed, path)
            section[path[-1]] = as_float(section[path[-1]])
    return changed


def _axes(settings: Mapping[str, Any], base: Mapping[str, Any], path=()) -> Iterable[tuple[tuple[str, ...], tuple]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            inner = base.get(key)  # none of an option that the task does not have
            yield from _axes(value, inner if isinstance(inner, dict) else {}, (*path, key))
        elif isinstance(value, tuple) and not isinstance(base.get(key), tuple):
            yield (*path, key), value
