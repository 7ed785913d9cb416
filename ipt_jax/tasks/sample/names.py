"""Invents the names of the synthetic sample's entities by putting parts together; a real one would be chance."""

from __future__ import annotations

import random


def words(text: str) -> tuple[str, ...]:
    """A list of words, written as people read it."""
    return tuple(text.split())


_FIRST = words(
    "Ada Alma Anna Bruno Carl Clara Diana Edith Elias Ella Emma Eric Eva Felix Frank Hans Helen Hugo Iris Ivan Kate "
    "Lars Laura Leo Lucy Mark Max Maya Nina Omar Oscar Otto Paul Rosa Ruth Simon Vera"
)
_LAST = words(
    "Banks Bell Berry Bird Blake Brook Carter Cross Dale Drake Fields Flint Frost Gale Hale Hart Hayes Heath Hill Holt "
    "Lake Lamb Lane Marsh Mason Moore Nash Page Pike Reed Snow Stone Swan Wade Ward Webb West Winter Wood York"
)
_PLACE_STARTS = words(
    "Al Ash Bel Bram Cal Dun Fal Gran Ham Hel Hol Lum Mar Mel Nor Or Pel Rav Ros Sand Stan Vel Wil Win"
)
_PLACE_ENDS = words("berg bridge bury by dale ford ham haven hill ley mere mond port stad ton ville wick wood")
_STEM_STARTS = words("Ar Be Ca De El Fi Go Hu La Mi Ne Or Pa Ru Si Ta Ve")
_STEM_ENDS = words("bar dra gal lo mba nna pri rel sko tha vin vo zar")
_COLOURS = words("Black Blue Brown Golden Green Grey Red Silver White Yellow")
_SIGNS = words("Bear Boat Crown Deer Dragon Eagle Fox Horse Lamb Lion Moon Rose Ship Star Swan Sun")
_DISHES = words("bread cake curry pie salad soup stew tea")
_FIRMS = words("Brothers Group Motors Partners Steel Works")


def _join(rng: random.Random, *parts: tuple[str, ...]) -> str:
    return "".join(rng.choice(part) for part in parts)


def person(rng: random.Random) -> str:
    return f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"


def town(rng: random.Random) -> str:
    return _join(rng, _PLACE_STARTS, _PLACE_ENDS)


def stem(rng: random.Random) -> str:
    return _join(rng, _STEM_STARTS, _STEM_ENDS)


def river(rng: random.Random) -> str:
    return f"{stem(rng)} River"


def mountain(rng: random.Random) -> str:
    return f"Mount {stem(rng)}"


def inn(rng: random.Random) -> str:
    return f"{rng.choice(_COLOURS)} {rng.choice(_SIGNS)} Inn"


def dish(rng: random.Random) -> str:
    return f"{stem(rng)} {rng.choice(_DISHES)}"


def company(rng: random.Random) -> str:
    return f"{rng.choice(_LAST)} {rng.choice(_FIRMS)}"


# The kinds of entities that a triple can be about.
SUBJECTS = {"person": person, "town": town, "river": river, "inn": inn, "dish": dish, "company": company}


def in_sentence(kind: str, name: str) -> str:
    """The name as it stands inside a sentence: the Tave River, but Mount Tave."""
    return f"the {name}" if kind in ("river", "inn") else name
