"""A config → the runs it stands for, checked and reduced to what matters → populations."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections

from ipt_jax.errors import InputError
from ipt_jax.initialisation import INITIALISATIONS, reads_examples
from ipt_jax.models.attention import IMPLEMENTATIONS
from ipt_jax.models.loading import DTYPES, resolve_dtype
from ipt_jax.models.rematerialisation import REMATERIALISATIONS
from ipt_jax.optimizers import OPTIMIZERS, SCHEDULES
from ipt_jax.results import method_label, run_id
from ipt_jax.retrieval import RETRIEVERS, SELECTIONS
from ipt_jax.search import Search
from ipt_jax.soft_prompt import ACTIVATIONS, REPARAMETERISATIONS
from ipt_jax.tasks import resolve_options
from ipt_jax.tasks.base import SPLITS

# The sections that decide a result. `name`, `runs` and `execution` do not: they are not part of a run's id.
SECTIONS = ("task", "limit", "model", "layout", "prompt", "training", "decoding", "seed")
# Left out of an id where they are usual: runs from before these settings existed keep theirs.
_USUAL = {
    "task": {"options": {}},
    "layout": {"selection": "nearest", "encoder": ""},
    "prompt": {"depth": 1, "activation": "tanh", "residual": True},
    "training": {"accumulate": 1, "optimizer": "adamw", "momentum": 0.0, "schedule": "linear"},
    "decoding": {
        "min_new_tokens": 0,
        "eos_token_id": (),
        "no_repeat_ngram_size": 0,
        "repetition_penalty": 1.0,
        "do_sample": False,
        "temperature": 1.0,
        "top_k": 50,
        "top_p": 1.0,
        "seed": 0,
    },
}
_EXECUTION_CHOICES = {"population_axis": ("rows", "members"), "rematerialisation": ("auto", *REMATERIALISATIONS)}
_FLOATS = ("learning_rate", "weight_decay", "clip_norm", "momentum")
# What a prompt carries for itself: runs that differ in nothing else train and decode as one population.
_PER_MEMBER = (
    ("seed",),
    ("training", "learning_rate"),
    ("prompt", "initialisation"),
    ("prompt", "text"),
    ("prompt", "source"),
)


@dataclasses.dataclass(frozen=True)
class Run:
    """One fully resolved configuration.

    Attributes:
      name: its key in `config.runs`, for people.
      settings: the sections that decide the result. `prompt` is None without prompt rows, `training` is
        None without training steps, and leaves that cannot matter have their neutral value, so that equal
        experiments have equal ids whatever they were called.
      data_hash: sha256 of the data that the run reads.
    """

    name: str
    settings: ml_collections.FrozenConfigDict
    data_hash: str

    @property
    def id(self) -> str:
        return run_id(self.identity())

    def identity(self) -> dict[str, Any]:
        """What the id is a hash of: data by content, not by path."""
        settings = _without_usual(self.settings.to_dict())
        del settings["task"]["data_dir"]
        return {**settings, "data_hash": self.data_hash}

    @property
    def steps(self) -> int:
        return self.settings.training.steps if self.settings.training else 0

    @property
    def method(self) -> str:
        layout, prompt = self.settings.layout, self.settings.prompt
        return method_label(
            layout.prompt_tokens,
            layout.demonstrations,
            layout.retriever,
            self.steps,
            prompt.source if prompt else None,
            layout.selection,
        )


def expand(config: ml_collections.ConfigDict) -> list[tuple[str, dict[str, Any]]]:
    """The runs of an experiment, each a name and its plain nested settings.

    `config.runs` maps a name to what differs from the base. A tuple where the base has a single value is
    an axis: `{"seed": (0, 1)}` is two runs. So is a tuple in the base's `training`: `learning_rate = (1e-3, 3e-3)`
    there doubles every run that does not say its own.

    Raises:
      InputError: an override of a leaf that does not exist, or a value that is out of range.
    """
    plain = config.to_dict()
    settings = {section: plain[section] for section in SECTIONS}
    settings["training"] = _with_floats(settings["training"])
    searches = {leaf: value for leaf, value in settings["training"].items() if isinstance(value, tuple)}
    base = {**settings, "training": _single(settings["training"])}
    for leaf, least in (("checkpoint_every", 1), ("log_every", 1), ("decode_batch_size", 0)):
        if plain["execution"][leaf] < least:
            raise InputError(f"config.execution.{leaf}={plain['execution'][leaf]!r} must be at least {least}")
    for leaf, choices in _EXECUTION_CHOICES.items():
        if plain["execution"][leaf] not in choices:
            value = plain["execution"][leaf]
            raise InputError(f"config.execution.{leaf}={value!r} is unknown; choose one of {', '.join(choices)}")
    expanded: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, overrides in (plain["runs"] or {plain["name"]: {}}).items():
        merged = copy.deepcopy(base)
        _override(merged, overrides, f"config.runs.{name}")
        merged["training"] |= {leaf: v for leaf, v in searches.items() if leaf not in overrides.get("training", {})}
        for one in _product(merged, base):
            _check(one, f"run {name!r}: ")
            one = _reduced(one)
            expanded.setdefault(json.dumps(one, sort_keys=True), (name, one))
    return list(expanded.values())


def populations(runs: Iterable[Run]) -> list[list[Run]]:
    """Groups runs that differ only in what a prompt carries for itself; the order of first members is kept."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        shared = run.identity()
        for path in _PER_MEMBER:
            section = shared
            for part in path[:-1]:
                section = section[part] or {}
            section.pop(path[-1], None)
        groups.setdefault(json.dumps(shared, sort_keys=True), []).append(run)
    return list(groups.values())


def _override(target: dict[str, Any], overrides: Mapping[str, Any], place: str) -> None:
    for key, value in overrides.items():
        if place.endswith(".task.options") and key not in target:
            target[key] = value  # Options are the task's own; `resolve_options` checks them.
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


def _single(training: Mapping[str, Any]) -> dict[str, Any]:
    """The first value of each axis, which the types of overrides are checked against."""
    single = dict(training)
    for leaf, value in training.items():
        place = f"config.training.{leaf}"
        if value == ():
            raise InputError(f"{place}=() has no value; give at least one")
        if isinstance(value, tuple):
            _check_type(value, value[0], place)
            single[leaf] = value[0]
    return single


def _with_floats(training: Mapping[str, Any]) -> dict[str, Any]:
    """A whole number becomes the float that is meant, as ml_collections does in sections that take no tuples."""

    def as_float(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(as_float, value))
        return float(value) if type(value) is int else value

    return {leaf: as_float(value) if leaf in _FLOATS else value for leaf, value in training.items()}


def _without_usual(settings: dict[str, Any]) -> dict[str, Any]:
    for section, usual in _USUAL.items():
        if settings[section]:
            settings[section] = {
                leaf: value for leaf, value in settings[section].items() if leaf not in usual or value != usual[leaf]
            }
    return settings


def _axes(settings: Mapping[str, Any], base: Mapping[str, Any], path=()) -> Iterable[tuple[tuple[str, ...], tuple]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _axes(value, base[key], (*path, key))
        elif isinstance(value, tuple) and not isinstance(base.get(key), tuple):
            yield (*path, key), value


def _check(settings: Mapping[str, Any], place: str) -> None:
    def need(ok: bool, leaf: str, what: str) -> None:
        if not ok:
            value = settings
            for part in leaf.split("."):
                value = value[part]
            raise InputError(f"{place}config.{leaf}={value!r} {what}")

    def need_one_of(leaf: str, choices: tuple[str, ...]) -> None:
        section, key = leaf.split(".")
        need(settings[section][key] in choices, leaf, f"is unknown; choose one of {', '.join(choices)}")

    need_one_of("layout.retriever", RETRIEVERS)
    need_one_of("layout.selection", SELECTIONS)
    need(
        settings["layout"]["encoder"] or settings["layout"]["retriever"] != "sentence_transformer",
        "layout.encoder",
        "must be the folder of a sentence-transformers model with layout.retriever='sentence_transformer'",
    )
    need_one_of("layout.overflow", ("fail", "truncate"))
    need_one_of("prompt.initialisation", INITIALISATIONS)
    need_one_of("prompt.reparameterisation", REPARAMETERISATIONS)
    need_one_of("prompt.activation", tuple(ACTIVATIONS))
    need_one_of("training.optimizer", OPTIMIZERS)
    need_one_of("training.schedule", SCHEDULES)
    need_one_of("model.dtype", ("auto", *DTYPES))
    need_one_of("model.attention", IMPLEMENTATIONS)
    need_one_of("task.split", SPLITS)
    minima = {
        "layout": {"prompt_tokens": 0, "demonstrations": 0},
        "prompt": {"hidden": 1, "depth": 1},
        "training": {
            "steps": 0,
            "batch_size": 1,
            "accumulate": 1,
            "eval_every": 1,
            "dev_examples": 1,
            "warmup_steps": 0,
        },
        "limit": dict.fromkeys(SPLITS, 0),
    }
    for section, leaves in minima.items():
        for leaf, least in leaves.items():
            if section == "training":  # the section whose leaves ml_collections does not check
                need(type(settings[section][leaf]) is int, f"{section}.{leaf}", "must be a whole number")
            need(settings[section][leaf] >= least, f"{section}.{leaf}", f"must be at least {least}")
    try:
        Search(**settings["decoding"])
    except InputError as error:
        raise InputError(f"{place}config.decoding.{error}") from error
    prompt, training = settings["prompt"], settings["training"]
    for leaf in _FLOATS:
        is_number = isinstance(training[leaf], int | float) and not isinstance(training[leaf], bool)
        need(is_number, f"training.{leaf}", "must be a number")
    for leaf in ("learning_rate", "clip_norm"):
        need(training[leaf] > 0, f"training.{leaf}", "must be positive")
    need(0 <= training["momentum"] < 1, "training.momentum", "must be at least 0 and less than 1")
    need(
        training["batch_size"] % training["accumulate"] == 0,
        "training.accumulate",
        f"must divide training.batch_size={training['batch_size']}",
    )
    from_file = prompt["initialisation"] == "file"
    need(
        from_file == bool(prompt["source"]), "prompt.source", "must be given with initialisation='file', and only then"
    )


def _reduced(settings: dict[str, Any]) -> dict[str, Any]:
    """Gives leaves that cannot matter their neutral value, `auto` its meaning here, and options their defaults."""
    layout, task = settings["layout"], settings["task"]
    task["options"] = resolve_options(task["name"], task["options"])
    settings["model"]["dtype"] = resolve_dtype(settings["model"]["dtype"])
    if not layout["demonstrations"]:
        layout["retriever"], layout["exclude_duplicates"] = None, None
    if layout["retriever"] in (None, "random"):
        layout["selection"] = "nearest"
    if layout["retriever"] != "sentence_transformer":
        layout["encoder"] = ""
    if not layout["prompt_tokens"]:
        settings["prompt"] = settings["training"] = None
    elif not settings["training"]["steps"]:
        settings["training"] = None
    if settings["decoding"]["num_beams"] == 1:
        settings["decoding"] |= {"length_penalty": 1.0, "early_stopping": False}
    if not settings["decoding"]["do_sample"]:
        settings["decoding"] |= {"temperature": 1.0, "top_k": 50, "top_p": 1.0, "seed": 0}
    read = {settings["task"]["split"]}
    if settings["training"]:
        read |= {"train", "dev"}
    prompt = settings["prompt"]
    if layout["demonstrations"] or (prompt and reads_examples(prompt["initialisation"], prompt["text"])):
        read |= {"train"}
    settings["limit"] = {split: count for split, count in settings["limit"].items() if split in read}
    if settings["prompt"] is None and layout["retriever"] != "random":
        settings["seed"] = 0
    return settings
