"""The objects of the synthetic sample's triples, each with the way the house spells it in a sentence."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

from ipt_jax.tasks.sample import names

_NUMBER_WORDS = names.words("zero one two three four five six seven eight nine ten eleven twelve")


@dataclasses.dataclass(frozen=True)
class Value:
    """An object: as the triple has it, and as a sentence spells it."""

    raw: str
    text: str


Draw = Callable[[random.Random], Value]


def one_of(*texts: str) -> Draw:
    """Each choice is one text, or `raw=text` where the sentence spells it in another way."""

    def draw(rng: random.Random) -> Value:
        raw, _, text = rng.choice(texts).partition("=")
        return Value(raw, text or raw)

    return draw


def named(maker: Callable[[random.Random], str], article: str = "") -> Draw:
    """The name of an entity, in sentences with an article where it takes one."""

    def draw(rng: random.Random) -> Value:
        name = maker(rng)
        return Value(name, article + name)

    return draw


def amount(low: int, high: int, unit: str = "", spelled: str = "") -> Draw:
    """A number up to, not including, `high`: in the triple `7 km`, in the sentence `seven kilometres`."""

    def draw(rng: random.Random) -> Value:
        number = rng.randrange(low, high)
        text = _NUMBER_WORDS[number] if number < len(_NUMBER_WORDS) else str(number)
        return Value(f"{number} {unit}".strip(), f"{text} {spelled}".strip())

    return draw


country = one_of(
    *names.words(
        "Belgium Bolivia Canada Chile Denmark Estonia Finland Ghana Greece Iceland India Ireland Italy Japan Kenya "
        "Latvia Mexico Morocco Nepal Norway Peru Poland Portugal Spain Sweden Turkey Vietnam"
    )
)
