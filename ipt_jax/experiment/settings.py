"""What the settings of a run may be, and what they come to once all is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ipt_jax.adapters.initialisation import check_initialisation
from ipt_jax.adapters.kinds import KINDS
from ipt_jax.decoding.settings import Search
from ipt_jax.errors import InputError
from ipt_jax.experiment import schema
from ipt_jax.models.loading import resolve_dtype
from ipt_jax.retrieval import retriever_named
from ipt_jax.setting import ABSENT, GONE, leaves, problem
from ipt_jax.tasks import resolve_options
from ipt_jax.training import trackers
from ipt_jax.training.optimizers import check_optimizer
from ipt_jax.training.recipe import options_of


def check_execution(execution: Mapping[str, Any]) -> None:
    """Raises InputError for a value of `config.execution` that is out of range."""
    for leaf in leaves(schema.Execution):
        if what := problem(leaf, execution[leaf.name]):
            raise InputError(f"config.execution.{leaf.name}={execution[leaf.name]!r} {what}")
    trackers.named(execution["trackers"])


def check(settings: Mapping[str, Any], place: str) -> None:
    """Raises InputError for a setting of a run that is out of range; `place` begins the message."""

    def need(ok: bool, path: str, what: str) -> None:
        if not ok:
            raise InputError(f"{place}config.{path}={_at(settings, path.split('.'))!r} {what}")

    for path, leaf in schema.decisive():
        if path[0] != "decoding":
            what = problem(leaf, _at(settings, path))
            need(not what, ".".join(path), what)
    try:
        Search(**settings["decoding"])
    except InputError as error:
        raise InputError(f"{place}config.decoding.{error}") from error
    layout, prompt, training = settings["layout"], settings["prompt"], settings["training"]
    need(
        layout["encoder"] or layout["retriever"] != "sentence_transformer",
        "layout.encoder",
        "must be the folder of a sentence-transformers model with layout.retriever='sentence_transformer'",
    )
    retriever_named(layout["retriever"], f"{place}config.layout.retriever")
    check_initialisation(prompt["initialisation"], f"{place}config.prompt.initialisation")
    kind = KINDS[settings["adapter"]["kind"]]
    need(
        kind.at_positions or not layout["prompt_tokens"],
        "layout.prompt_tokens",
        f"must be 0 with adapter.kind={kind.name!r}, which stands at no position",
    )
    target, stop = layout["template"]["target"], tuple(settings["decoding"]["stop"])
    need(
        layout["end_token"] or layout["chat"] or target.endswith(stop),
        "layout.end_token",
        f"needs a layout.template.target that ends with a stop text: {target!r} ends with none of {stop!r}, so "
        "that what is learned would have no end",
    )
    need(
        layout["user"].count("{input}") == 1,
        "layout.user",
        "must contain {input} exactly once",
    )
    need(
        training["batch_size"] % training["accumulate"] == 0,
        "training.accumulate",
        f"must divide training.batch_size={training['batch_size']}",
    )
    if schema.TRAINED.holds(settings):
        try:
            check_optimizer(
                training["optimizer"],
                dict(options_of(training["optimizer"], training["momentum"], training["optimizer_options"])),
            )
        except InputError as error:
            raise InputError(f"{place}config.{error}") from error
    need(
        (prompt["initialisation"] == "file") == bool(prompt["source"]),
        "prompt.source",
        "must be given with initialisation='file', and only then",
    )


def reduced(settings: dict[str, Any], platform: str = "") -> dict[str, Any]:
    """Gives leaves that cannot matter their neutral value, `auto` its meaning, and options their defaults.

    Args:
      platform: what the runs are carried out on; by default what jax finds here.
    """
    task, model = settings["task"], settings["model"]
    task["options"] = resolve_options(task["name"], task["options"])
    model["dtype"] = resolve_dtype(model["dtype"], platform)
    matters = {name: condition.holds(settings) for name, condition in schema.WHOLE_SECTIONS.items()}
    settings.update({name: None for name, holds in matters.items() if not holds})
    for path, leaf in schema.decisive():
        section = _at(settings, path[:-1])
        known = leaf.setting
        if section is None or known.matters is None or known.matters.holds(settings):
            continue
        if known.neutral is GONE:
            del section[leaf.name]
        else:
            section[leaf.name] = leaf.default if known.neutral is ABSENT else known.neutral
    return settings


def _at(settings: Any, path: Sequence[str]) -> Any:
    for name in path:
        settings = settings[name]
    return settings
