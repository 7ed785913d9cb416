"""What the synthetic sample talks about: six kinds of subjects, their relations and the phrases for them.

Sixteen of the relations are most often worded as their names suggest to any good writer: "is owned by" for `owner`. The
other eight most often take a phrase of the house: "hails from" for `home`. Their names do not give it away, but one
example with the same relation shows it at once.
"""

from __future__ import annotations

import dataclasses

from ipt_jax.tasks.sample import names
from ipt_jax.tasks.sample.names import words
from ipt_jax.tasks.sample.values import Draw, amount, country, named, one_of


@dataclasses.dataclass(frozen=True)
class Relation:
    """A relation and how the house words it.

    Attributes:
      name: as in the triple.
      value: draws an object.
      phrases: what follows the subject, the usual one first; `{o}` is the object, `{a}` the object with a or an.
    """

    name: str
    value: Draw
    phrases: tuple[str, str]


# The relations of a kind stand in the order in which the house mentions them, whatever the order of the triples.
DOMAINS = {
    "person": (
        Relation("job", one_of(*words("baker cook dancer doctor farmer painter singer teacher")),
                 ("is {a}", "works as {a}")),
        Relation("home", named(names.town), ("hails from {o}", "has roots in {o}")),
        Relation("language", one_of(*words("Danish English Finnish French Greek Hindi Polish Spanish")),
                 ("speaks {o}", "is fluent in {o}")),
        Relation("hobby", one_of(*words("chess cooking dancing hiking music reading sailing")),
                 ("lives for {o}", "never tires of {o}")),
    ),
    "town": (
        Relation("country", country, ("is a town in {o}", "belongs to {o}")),
        Relation("mayor", named(names.person), ("takes its orders from {o}", "answers to {o}")),
        Relation("river", named(names.river, "the "), ("is on {o}", "grew up along {o}")),
        Relation("schools", amount(2, 13), ("has {o} schools", "keeps {o} schools open")),
    ),
    "river": (
        Relation("source", named(names.mountain), ("springs from {o}", "first sees the light on {o}")),
        Relation("length", amount(13, 99, "km", "kilometres"), ("is {o} long", "winds on for {o}")),
        Relation("country", country, ("flows through {o}", "waters the fields of {o}")),
        Relation("bridges", amount(2, 13), ("has {o} bridges", "runs under {o} bridges")),
    ),
    "inn": (
        Relation("owner", named(names.person), ("is owned by {o}", "is in the hands of {o}")),
        Relation("town", named(names.town), ("waits for its guests in {o}", "opens its doors in {o}")),
        Relation("rooms", amount(2, 13), ("has {o} rooms", "offers {o} rooms")),
        Relation("price", amount(13, 99, "USD", "dollars"), ("costs {o} a night", "charges {o} a night")),
    ),
    "dish": (
        Relation("origin", country, ("is a dish from {o}", "was first cooked in {o}")),
        Relation("ingredient", one_of(*words("apples beans carrots cheese ginger honey onions rice")),
                 ("is made with {o}", "owes its taste to {o}")),
        Relation("time", amount(13, 60, "min", "minutes"), ("takes {o} to cook", "needs {o} on the stove")),
        Relation("course", one_of(*words("breakfast dessert dinner lunch snack starter supper")),
                 ("comes to the table as {o}", "does duty as {o}")),
    ),
    "company": (
        Relation("founder", named(names.person), ("was founded by {o}", "goes back to {o}")),
        Relation("product", one_of(*words("bicycles carpets clocks engines lamps shoes soap toys")),
                 ("makes {o}", "is known for its {o}")),
        Relation("staff", amount(2, 13), ("pays the wages of {o} people", "gives work to {o} people")),
        Relation("city", named(names.town), ("keeps its books in {o}", "is based in {o}")),
    ),
}  # fmt: skip
