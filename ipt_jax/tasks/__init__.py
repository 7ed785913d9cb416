"""The tasks by name, and their options."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections

from ipt_jax.errors import InputError
from ipt_jax.runtime import named_parts
from ipt_jax.tasks.base import Task
from ipt_jax.tasks.dart import Dart
from ipt_jax.tasks.jsonl import JsonLines
from ipt_jax.tasks.logic2text import Logic2Text
from ipt_jax.tasks.mtop import Mtop
from ipt_jax.tasks.sample.task import Sample
from ipt_jax.tasks.spider import Spider
from ipt_jax.tasks.totto import Totto

TASKS = {
    "dart": Dart,
    "jsonl": JsonLines,
    "logic2text": Logic2Text,
    "mtop": Mtop,
    "sample": Sample,
    "spider": Spider,
    "totto": Totto,
}
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def get_task(name: str, data_dir: str | os.PathLike[str] | None = None, **options: Any) -> Task:
    """The task that `config.task.name` means, reading from `config.task.data_dir` (the sample needs none).

    Args:
      options: `config.task.options`, the task's own switches; what is not given has its default.

    Raises:
      InputError: an unknown name or option (the message suggests the nearest one), or an option of another type.
    """
    return _named(name)(data_dir, **resolve_options(name, options))


def resolve_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a task, those that are not given with their default, in the order of the constructor.

    A task's `later_options` are left out where they have their default: runs from before they were keep their ids.

    Raises:
      InputError: as `get_task`.
    """
    defaults = _defaults(name)
    for option, value in options.items():
        place = f"config.task.options.{option}"
        if option not in defaults:
            near = difflib.get_close_matches(option, defaults, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            known = f"its options are: {', '.join(defaults)}" if defaults else "it has none"
            raise InputError(f"{place}={value!r} is not an option of task {name!r}; {hint}{known}")
        if isinstance(defaults[option], float) and type(value) is int:
            value = float(value)
        if type(value) is not type(defaults[option]):
            wanted = type(defaults[option]).__name__
            raise InputError(f"{place}={value!r} should be of type {wanted}, like its default {defaults[option]!r}")
        defaults[option] = value
    later, unset = getattr(_named(name), "later_options", ()), _defaults(name)
    return {option: value for option, value in defaults.items() if option not in later or value != unset[option]}


def parse_options(name: str, texts: Iterable[str]) -> dict[str, Any]:
    """Options as the commands take them: `["database_content=true"]` → `{"database_content": True}`.

    Raises:
      InputError: a text without `=`, an unknown option, or a value that its type does not have.
    """
    defaults, options = _defaults(name), {}
    for text in texts:
        option, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--option={text!r} should be NAME=VALUE")
        options[option] = _parse(value, defaults[option], text) if option in defaults else value
    return resolve_options(name, options)


def _parse(value: str, default: Any, text: str) -> Any:
    try:
        return _TRUTH[value.lower()] if isinstance(default, bool) else type(default)(value)
    except (KeyError, ValueError):
        raise InputError(
            f"--option={text!r} needs a value of type {type(default).__name__}, like {default!r}"
        ) from None


def check_name(name: str, place: str) -> None:
    """Raises InputError, naming the place and the nearest name, for what is no task."""
    named_parts.named(name, TASKS, named_parts.TASKS, place)


def _named(name: str) -> type:
    return named_parts.named(name, TASKS, named_parts.TASKS, "config.task.name")


def own_code(name: str, options: Mapping[str, Any]) -> dict[str, str]:
    """What a run's identity has of a task, or of a metric that it was given, where these are not of the package."""
    metric = options.get("metric", "")
    hashes = {
        "task.name": named_parts.code_hash(name, TASKS, named_parts.TASKS),
        "task.options.metric": named_parts.hash_of(named_parts.named(metric, {}, named_parts.METRICS, "metric"))
        if ":" in str(metric)
        else "",
    }
    return {place: hash for place, hash in hashes.items() if hash}


def _defaults(name: str) -> dict[str, Any]:
    """The keyword-only arguments of the task's constructor with their defaults."""
    parameters = inspect.signature(_named(name)).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def task_of(settings: ml_collections.FrozenConfigDict) -> Task:
    return get_task(settings.name, settings.data_dir, **settings.options.to_dict())
