"""A setting, said once: its default, its meaning, what it may be, when it matters, and what was before it existed."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

ABSENT: Any = object()  # no such value
GONE: Any = object()  # as what is neutral: the leaf is left out


@dataclasses.dataclass(frozen=True)
class Condition:
    """When a setting matters.

    Attributes:
      text: for people, behind "matters".
      holds: of a run's nested settings.
    """

    text: str
    holds: Callable[[Mapping[str, Any]], bool]


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is known of a leaf beside its name, type and default.

    Attributes:
      meaning: for people, in one line or a few.
      choices: the only values, where there are so few.
      own_parts: whether one's own may stand there beside `choices`, as `module:object`; who resolves it checks it.
      least, above, most, below: bounds of a number; `least` and `most` are allowed themselves.
      matters: when it can change a result; elsewhere a run has `neutral`, by default the default, for what was given.
      before: what runs from before the setting existed did; an id leaves that value out, so that they keep theirs.
      per_member: whether an adapter carries it for itself: runs that differ in nothing else are one population.
      in_config: whether an experiment's config has it.
    """

    meaning: str
    choices: tuple = ()
    own_parts: bool = False
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    matters: Condition | None = None
    neutral: Any = ABSENT
    before: Any = ABSENT
    per_member: bool = False
    in_config: bool = True


class Leaf(typing.NamedTuple):
    """A setting in its class."""

    name: str
    kind: Any
    default: Any
    setting: Setting


def setting(default: Any, meaning: str, **known: Any) -> Any:
    """A field of a dataclass of settings; `known` are attributes of `Setting`. A dict as default is made anew."""
    metadata = {"setting": Setting(meaning, **known)}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@functools.cache
def leaves(kind: type) -> tuple[Leaf, ...]:
    """The settings of a dataclass, in their order; fields that are sections of their own are none."""
    return tuple(_leaves(kind))


def _leaves(kind: type) -> Iterator[Leaf]:
    types = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if "setting" in field.metadata:
            made = field.default if field.default is not dataclasses.MISSING else field.default_factory()
            yield Leaf(field.name, types[field.name], made, field.metadata["setting"])


def problem(leaf: Leaf, value: Any) -> str:
    """What is wrong with a value, as the end of a sentence; nothing where it may stand.

    >>> top_p = Leaf("top_p", float, 1.0, Setting("of sampling", above=0, most=1))
    >>> problem(top_p, 1.5), problem(top_p, 0.5)
    ('must be above 0 and at most 1', '')
    """
    known = leaf.setting
    if leaf.kind is int and not is_whole(value):
        return "must be a whole number"
    if leaf.kind is float and not _is_finite(value):
        return "must be a finite number"
    if leaf.kind is bool and not isinstance(value, bool):
        return "must be True or False"
    if (
        known.choices
        and not known.own_parts
        and not any(value is choice or (value == choice and type(value) is type(choice)) for choice in known.choices)
    ):
        return f"is unknown; choose one of {', '.join(str(choice) or 'nothing' for choice in known.choices)}"
    if leaf.kind is str and (not known.choices or known.own_parts) and not isinstance(value, str):
        return "must be a text"
    if leaf.kind is dict and not isinstance(value, Mapping):
        return "must be a section"
    if leaf.kind not in (int, float):
        return ""
    fits = (
        (known.least is None or value >= known.least)
        and (known.above is None or value > known.above)
        and (known.most is None or value <= known.most)
        and (known.below is None or value < known.below)
    )
    return "" if fits else f"must be {bounds(known)}"


def bounds(known: Setting) -> str:
    """The range of a number in words; nothing where it has none."""
    if known.above == 0 and known.most is None and known.below is None:
        return "positive"
    words = {"least": "at least", "above": "above", "most": "at most", "below": "less than"}
    return " and ".join(
        f"{word} {getattr(known, name)}" for name, word in words.items() if getattr(known, name) is not None
    )


def is_whole(value: Any) -> bool:
    """Whether it is a whole number, NumPy's among them; a truth value is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    """Whether it is a number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # a whole number of hundreds of digits
        return False
