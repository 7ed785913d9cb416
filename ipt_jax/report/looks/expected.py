"""What the files of a run may hold to be shown: keys with the kinds of their values, and what differs from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """A kind of single values, with its name for messages."""

    name: str
    fits: Callable[[Any], bool]


class Fields(NamedTuple):
    """An object: keys that must be there, and keys that may be missing or null. Others may be anything."""

    needed: Mapping[str, Any]
    optional: Mapping[str, Any] = {}


class Each(NamedTuple):
    """A list, or the values of an object (`of_object`), all of one shape; those of an object may be null."""

    shape: Any
    of_object: bool = False


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e18  # past it, sums and axes overflow


TEXT = Kind("a text", lambda value: isinstance(value, str))
NUMBER = Kind("a number", _number)
WHOLE = Kind("a whole number", lambda value: type(value) is int and _number(value))
COUNT = Kind("a whole number from 0", lambda value: type(value) is int and value >= 0 and _number(value))
POSITIVE = Kind("a whole number from 1", lambda value: type(value) is int and value >= 1 and _number(value))
OBJECT = Kind("an object", lambda value: isinstance(value, Mapping))

_TRAINING = {
    **dict.fromkeys(("steps", "batch_size", "best_step", "numbers", "bytes"), COUNT),
    **dict.fromkeys(("learning_rate", "best_dev_loss", "prompt_norm", "prompt_moved", "host_wait"), NUMBER),
    "complaint": TEXT,
    "nearest_words": Each(Fields({"word": TEXT, "cosine": NUMBER})),
}
RESULT = Fields(
    {"run": TEXT, "method": TEXT, "metric": TEXT, "score": NUMBER},
    {
        **dict.fromkeys(
            ("task", "task_title", "split", "model", "retriever", "adapter", "dtype", "attention", "data_hash"), TEXT
        ),
        **dict.fromkeys(("examples", "empty", "prompt_tokens", "demonstrations", "truncated", "compilations"), COUNT),
        **dict.fromkeys(("demonstrations_dropped", "duplicates_excluded"), COUNT),
        "seed": WHOLE,
        "layout": Fields({}, {"selection": TEXT}),
        "prompt_source": Fields({}, {"run": TEXT, "task": TEXT, "method": TEXT}),
        "scores": Fields({}, {"signatures": Each(TEXT, of_object=True)}),
        "metrics": Each(Fields({}, {"title": TEXT, "meaning": TEXT}), of_object=True),
        "training": Fields({}, _TRAINING),
        "seconds": Each(NUMBER, of_object=True),
        "arithmetic": Each(Kind("a number", lambda value: type(value) in (int, float)), of_object=True),
        "overlap": Fields({"same_input": COUNT, "near_duplicate": COUNT, "examples": POSITIVE}),
        "limit": Each(COUNT, of_object=True),
        "decoding": OBJECT,
        "versions": OBJECT,
    },
)
_TEMPLATE = Fields({}, {"query": TEXT, "target": TEXT, "separator": TEXT})
CONFIG = Fields(
    {},
    {
        "seed": WHOLE,
        "layout": Fields({}, {"template": _TEMPLATE}),
        "training": Fields({}, {"learning_rate": NUMBER}),
    },
)
_DEMONSTRATION = Fields({"id": TEXT}, {"similarity": NUMBER})
PREDICTION = Fields(
    {"id": TEXT, "input": TEXT, "prediction": TEXT, "references": Each(TEXT)},
    {"score": NUMBER, "log_probability": NUMBER, "stop": TEXT, "demonstrations": Each(_DEMONSTRATION)},
)
METRICS = Fields({"step": COUNT}, {"loss": NUMBER, "dev_loss": NUMBER})


def misfit(value: Any, shape: Any, place: str = "") -> str:
    """The first part of a value that is not of its shape, and what it should be; nothing where all is well.

    >>> misfit({"step": 1, "loss": "x"}, METRICS)
    "'loss' should be a number"
    >>> misfit({"loss": 0.5}, METRICS)
    "'step' should be there with a whole number from 0"
    """
    if isinstance(shape, Kind):
        return "" if shape.fits(value) else f"{place!r} should be {shape.name}"
    if isinstance(shape, Each):
        if not isinstance(value, Mapping if shape.of_object else list):
            return f"{place!r} should be {'an object' if shape.of_object else 'a list'}"
        parts = value.items() if shape.of_object else enumerate(value)
        found = (
            misfit(part, shape.shape, f"{place}.{key}") for key, part in parts if not (shape.of_object and part is None)
        )
        return next(filter(None, found), "")
    if not isinstance(value, Mapping):
        return f"{place!r} should be an object" if place else "an object is expected"
    for key, of_key in (shape.needed | shape.optional).items():
        name, part = f"{place}.{key}".lstrip("."), value.get(key)
        if part is None and key in shape.needed:
            return f"{name!r} should be there with {of_key.name if isinstance(of_key, Kind) else 'a list'}"
        if part is not None and (what := misfit(part, of_key, name)):
            return what
    return ""
