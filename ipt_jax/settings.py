"""What the settings of a run may be, and what they come to once all is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipt_jax.accelerators import PLATFORMS
from ipt_jax.errors import InputError
from ipt_jax.initialisation import INITIALISATIONS, reads_examples
from ipt_jax.models.attention import IMPLEMENTATIONS
from ipt_jax.models.loading import DTYPES, resolve_dtype
from ipt_jax.models.rematerialisation import REMATERIALISATIONS
from ipt_jax.optimizers import OPTIMIZERS, SCHEDULES
from ipt_jax.retrieval import RETRIEVERS, SELECTIONS
from ipt_jax.retrieval.bm25 import TERMS
from ipt_jax.search import Search
from ipt_jax.soft_prompt import ACTIVATIONS, REPARAMETERISATIONS
from ipt_jax.tasks import resolve_options
from ipt_jax.tasks.base import SPLITS

_EXECUTION_CHOICES = {
    "platform": ("", *PLATFORMS),
    "population_axis": ("rows", "members"),
    "rematerialisation": ("auto", *REMATERIALISATIONS),
}
FLOATS = ("learning_rate", "weight_decay", "clip_norm", "momentum")


def check_execution(execution: Mapping[str, Any]) -> None:
    """Raises InputError for a value of `config.execution` that is out of range."""
    for leaf, least in (("checkpoint_every", 1), ("log_every", 1), ("decode_batch_size", 0)):
        if execution[leaf] < least:
            raise InputError(f"config.execution.{leaf}={execution[leaf]!r} must be at least {least}")
    for leaf, choices in _EXECUTION_CHOICES.items():
        if execution[leaf] not in choices:
            value = execution[leaf]
            named = ", ".join(choice or "nothing" for choice in choices)
            raise InputError(f"config.execution.{leaf}={value!r} is unknown; choose one of {named}")


def check(settings: Mapping[str, Any], place: str) -> None:
    """Raises InputError for a setting of a run that is out of range; `place` begins the message."""

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
    need_one_of("layout.terms", TERMS)
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
    target, stop = settings["layout"]["template"]["target"], settings["decoding"]["stop"]
    need(
        settings["layout"]["end_token"] or target.endswith(tuple(stop)),
        "layout.end_token",
        f"needs a layout.template.target that ends with a stop text: {target!r} ends with none of {tuple(stop)!r}, so "
        "that what is learned would have no end",
    )
    prompt, training = settings["prompt"], settings["training"]
    for leaf in FLOATS:
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


def reduced(settings: dict[str, Any], platform: str = "") -> dict[str, Any]:
    """Gives leaves that cannot matter their neutral value, `auto` its meaning, and options their defaults.

    Args:
      platform: what the runs are carried out on; by default what jax finds here.
    """
    layout, task = settings["layout"], settings["task"]
    task["options"] = resolve_options(task["name"], task["options"])
    settings["model"]["dtype"] = resolve_dtype(settings["model"]["dtype"], platform)
    if not layout["demonstrations"]:
        layout["retriever"], layout["exclude_duplicates"] = None, None
    if layout["retriever"] in (None, "random"):
        layout["selection"] = "nearest"
    if layout["retriever"] != "sentence_transformer":
        layout["encoder"] = ""
    if layout["retriever"] != "bm25":
        layout["terms"] = "auto"
    if not layout["prompt_tokens"]:
        settings["prompt"] = settings["training"] = None
    elif not settings["training"]["steps"]:
        settings["training"] = None
    if settings["training"] is None:
        layout["end_token"] = True
    if settings["decoding"]["num_beams"] == 1:
        settings["decoding"] |= {"length_penalty": 1.0, "early_stopping": False}
    if not settings["decoding"]["stop"]:
        settings["decoding"]["hold_stop_texts"] = False
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
