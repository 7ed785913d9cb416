"""Prompts that runs take from other runs of the same experiment: `run:NAME` as the source of a prompt.

    run:pt          the prompt that run "pt" of the same task, language model and seed has trained
    run:pt@mtop     that of run "pt" on another task of the experiment
    run:pt@*        one run for each task of the experiment

Such a run waits until the other is finished, and its id depends on the other's id.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import ml_collections

from ipt_jax.errors import InputError

if TYPE_CHECKING:
    from ipt_jax.experiment.run import Run

PREFIX = "run:"


def over_tasks(source: str | tuple[str, ...], tasks: Sequence[str]) -> str | tuple[str, ...]:
    """Spells out `@*`.

    >>> over_tasks("run:pt@*", ["dart", "mtop"])
    ('run:pt@dart', 'run:pt@mtop')
    """
    if not isinstance(source, str) or not (source.startswith(PREFIX) and source.endswith("@*")):
        return source
    return tuple(f"{source.removesuffix('*')}{task}" for task in tasks)


def resolve_sources(runs: Sequence[Run]) -> list[Run]:
    """The same runs, each with the run that its prompt comes from, and after it.

    Raises:
      InputError: a run that is named is not there or trains nothing, or a run waits for itself.
    """
    resolved: dict[int, Run] = {}

    def resolve(i: int, waiting: tuple[int, ...]) -> Run:
        run = runs[i]
        if i in waiting:
            raise InputError(f"run {run.name!r}: config.prompt.source={_reference(run)!r} waits for its own prompt")
        if i not in resolved:
            if _reference(run):
                source = resolve(_origin(run, runs), (*waiting, i))
                settings = run.settings.to_dict()
                settings["prompt"]["source"] = PREFIX + source.id
                run = dataclasses.replace(run, settings=ml_collections.FrozenConfigDict(settings), source=source)
            resolved[i] = run
        return resolved[i]

    for i in range(len(runs)):
        resolve(i, ())
    return list(resolved.values())  # in the order in which they were entered: no run before its source


def _reference(run: Run) -> str:
    """`run:…`, or nothing where the prompt comes from elsewhere."""
    source = run.settings.prompt.source if run.settings.prompt else ""
    return source if source.startswith(PREFIX) else ""


def _origin(run: Run, runs: Sequence[Run]) -> int:
    """The index of the run that is meant: of the same language model, seed and, if none is named, task."""
    name, _, task = _reference(run).removeprefix(PREFIX).partition("@")
    task = task or run.settings.task.name
    place = f"run {run.name!r}: config.prompt.source={_reference(run)!r}"
    named = [i for i, other in enumerate(runs) if other.name == name and other.settings.task.name == task]
    if not named:
        others = ", ".join(sorted({f"{other.name}@{other.settings.task.name}" for other in runs if other.steps}))
        raise InputError(f"{place}: the experiment has no such run; those that train a prompt are: {others}")
    wanted = (run.settings.model, run.settings.seed)
    found = [i for i in named if (runs[i].settings.model, runs[i].settings.seed) == wanted and runs[i].settings.prompt]
    if len(found) != 1:
        raise InputError(
            f"{place}: of run {name!r} on {task} there are {len(found)} with seed {run.settings.seed} and prompt rows; "
            "there must be one"
        )
    return found[0]
