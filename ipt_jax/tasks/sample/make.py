"""Writes the synthetic sample: `python -m ipt_jax.tasks.sample.make --output_dir=…`; one seed, always the same files.

The entities are invented and the facts mean nothing. What is learnable is how the house writes. Some of it holds
for all relations and is meant to be picked up by a little training: one sentence that says every fact once, in a fixed
order whatever the order of the triples, units in words, numbers up to twelve in words, and the article before rivers
and inns. The phrases of `sample_domains` belong to single relations: in two thirds of them the usual phrase is the
plain wording, in the others a house phrase, which is best learnt from an example with the same relation.
"""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import json
import random
from pathlib import Path
from typing import Any

from absl import flags

from ipt_jax import cli
from ipt_jax.tasks.sample.domains import DOMAINS, Relation
from ipt_jax.tasks.sample.names import SUBJECTS, in_sentence
from ipt_jax.tasks.sample.values import Value

SIZES = {"train": 1_000, "dev": 100, "test": 100}
_SEED = 20230222
_TRIPLES = ((1, 0.7), (2, 0.3))
_PHRASES = (0.85, 0.15)  # how often a relation's first and second phrase is used in training

COMMAND_FLAGS = flags.FlagValues()
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "the folder for train.json.gz, dev.json.gz and test.json.gz", flag_values=COMMAND_FLAGS
)


@dataclasses.dataclass(frozen=True)
class Fact:
    """A relation with its object."""

    relation: Relation
    value: Value


@dataclasses.dataclass(frozen=True)
class Entry:
    """What one text says.

    Attributes:
      subject: the name that all of `facts` are about.
      kind: what the subject is, a key of DOMAINS.
      facts: in house order.
    """

    subject: str
    kind: str
    facts: tuple[Fact, ...]

    def triples(self) -> list[list[str]]:
        return [[self.subject, fact.relation.name, fact.value.raw] for fact in self.facts]


def draw_entry(rng: random.Random) -> Entry:
    """A random subject with one or two triples."""
    kind = rng.choice(tuple(DOMAINS))
    count = rng.choices([n for n, _ in _TRIPLES], [weight for _, weight in _TRIPLES])[0]
    subject, relations = SUBJECTS[kind](rng), DOMAINS[kind]
    chosen = [relations[index] for index in sorted(rng.sample(range(len(relations)), count))]
    return Entry(subject, kind, tuple(Fact(relation, relation.value(rng)) for relation in chosen))


def realise(entry: Entry, phrases: list[int]) -> str:
    """One sentence that says all of an entry, with the given phrase of each fact's relation.

    Triples: Ada Bell : home : Calham | Ada Bell : language : Greek
    Text: Ada Bell hails from Calham and speaks Greek.
    """
    clauses = [_fill(fact.relation.phrases[phrase], fact) for fact, phrase in zip(entry.facts, phrases, strict=True)]
    text = f"{in_sentence(entry.kind, entry.subject)} {' and '.join(clauses)}."
    return text[0].upper() + text[1:]


def _fill(phrase: str, fact: Fact) -> str:
    text = fact.value.text
    article = "an" if text[0].lower() in "aeiou" else "a"
    return phrase.replace("{a}", f"{article} {text}").replace("{o}", text)


def make_split(split: str) -> list[dict[str, Any]]:
    """The split's entries in DART's format.

    One text of an entry to train on; to be judged by, all that the house could have written, the most usual first.
    """
    rng = random.Random(f"{_SEED}:{split}")
    seen: set[str] = set()
    entries = []
    while len(entries) < SIZES[split]:
        entry = draw_entry(rng)
        triples = entry.triples()
        key = json.dumps(triples)
        if key in seen:
            continue
        seen.add(key)
        if split == "train":
            texts = [realise(entry, rng.choices((0, 1), _PHRASES, k=len(triples)))]
        else:
            texts = [realise(entry, list(chosen)) for chosen in itertools.product((0, 1), repeat=len(triples))]
        rng.shuffle(triples)
        annotations = [{"source": "synthetic_sample", "text": text} for text in texts]
        entries.append({"tripleset": triples, "subtree_was_extended": False, "annotations": annotations})
    return entries


def write_sample(folder: Path) -> list[Path]:
    """Writes the three gzipped files, one entry per line; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for split in SIZES:
        rows = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in make_split(split))
        path = folder / f"{split}.json.gz"
        # No time stamp and no file name in the header: equal content gives equal files.
        path.write_bytes(gzip.compress(f"[\n{rows}\n]\n".encode(), mtime=0))
        paths.append(path)
    return paths


def main(argv: list[str]) -> None:
    del argv
    for path in write_sample(Path(_OUTPUT_DIR.value)):
        print(path)


if __name__ == "__main__":
    cli.run(main, COMMAND_FLAGS, required=("output_dir",))
