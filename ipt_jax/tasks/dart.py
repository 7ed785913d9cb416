"""DART v1.1.1, from triples to sentences (Nan et al. 2021): reads the official files, linearises, scores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from ipt_jax.errors import InputError
from ipt_jax.metrics.bleu import BLEU_DART_OFFICIAL, BLEU_UNIFIEDSKG, SENTENCE_BLEU
from ipt_jax.metrics.chrf import CHRF2
from ipt_jax.metrics.rouge import ROUGE_L
from ipt_jax.tasks.base import SPLITS, Example, check_split
from ipt_jax.tasks.reading import find_file, read_json_list

METRICS = (BLEU_UNIFIEDSKG, BLEU_DART_OFFICIAL, SENTENCE_BLEU, CHRF2, ROUGE_L)

FILE_NAMES = {split: f"dart-v1.1.1-full-{split}.json" for split in SPLITS}

# (entries, texts) of the release. Two numbers of entries for train: some copies merge 88 adjacent entries that
# repeat a set of triples, which changes the ids of the pairs but neither the pairs nor their order.
RELEASE_COUNTS = {
    "train": ((30_526, 62_659), (30_438, 62_659)),
    "dev": ((2_768, 6_980),),
    "test": ((5_097, 12_552),),
}


class Dart:
    """The official release in `data_dir`, as `.json` or `.json.gz` files (`.json` where both are there)."""

    name = "dart"
    title = "DART"
    metrics = METRICS
    reader_version = 1
    options: Mapping[str, Any] = {}

    def __init__(self, data_dir: str | os.PathLike[str] | None):
        self._data_dir = data_dir

    def files(self, split: str) -> tuple[Path, ...]:
        folder = Path(self._data_dir or ".")
        if self._data_dir and (path := find_file(folder, FILE_NAMES[check_split(split)])):
            return (path,)
        missing = [name for name in FILE_NAMES.values() if not (self._data_dir and find_file(folder, name))]
        place = f"not in config.task.data_dir = {str(folder)!r}" if self._data_dir else "config.task.data_dir is unset"
        raise InputError(
            f"{place}: {', '.join(missing)} (or .json.gz). They come from the folder data/v1.1.1 of "
            "github.com/Yale-LILY/dart; where the network allows it, get them with "
            "'python -m ipt_jax.tasks.download dart --output_dir=data/dart' and set config.task.data_dir "
            "(in the score command: --data_dir) to that folder"
        )

    def read(self, split: str) -> Iterator[Example]:
        (path,) = self.files(split)
        entries = texts = 0
        for entry, example in read_dart(path, split):
            entries = entry + 1
            texts += len(example.references)
            yield example
        if (entries, texts) not in RELEASE_COUNTS[split]:
            expected = " or ".join(f"{e:,} entries with {t:,} texts" for e, t in RELEASE_COUNTS[split])
            logging.warning(
                "%s is not DART v1.1.1's %s split: %s entries with %s texts instead of %s; "
                "scores do not compare with published ones",
                path, split, f"{entries:,}", f"{texts:,}", expected,
            )  # fmt: skip


def linearise(triples: Sequence[Sequence[str]]) -> str:
    """UnifiedSKG's text of a set of triples: only the relation is lower-cased.

    >>> linearise([["Zizzi", "eatType", "pub"], ["Zizzi", "NEAR", "The Sorrento"]])
    'Zizzi : eattype : pub | Zizzi : near : The Sorrento'
    """
    return " | ".join(f"{subject} : {relation.lower()} : {object_}" for subject, relation, object_ in triples)


def read_dart(path: Path, split: str) -> Iterator[tuple[int, Example]]:
    """Streams a file in DART's format: a list of `{"tripleset": [[s, r, o], …], "annotations": [{"text"}, …]}`.

    Training has one example per text, id `train:<entry>:<text>`; dev and test one per entry, id `dev:<entry>`,
    with all texts as references and the first as target. Texts are left as released, an empty one too.

    Yields:
      The entry (from 0) and an example of it.

    Raises:
      InputError: with file, line and entry.
    """
    for entry, (line, record) in enumerate(read_json_list(path)):
        triples, texts = record.get("tripleset"), record.get("annotations")
        if not _is_triples(triples):
            raise InputError(f"{path}:{line}: record {entry}: 'tripleset' should be a list of lists of three texts")
        if not _is_annotations(texts):
            raise InputError(f"{path}:{line}: record {entry}: 'annotations' should be a list of objects with a 'text'")
        source = linearise(triples)
        references = tuple(annotation["text"] for annotation in texts)
        if split == "train":
            for index, text in enumerate(references):
                yield entry, Example(f"train:{entry}:{index}", source, text, (text,))
        else:
            yield entry, Example(f"{split}:{entry}", source, references[0], references)


def _is_triples(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(t, list) and len(t) == 3 and all(isinstance(part, str) for part in t) for t in value)
    )


def _is_annotations(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(note, dict) and isinstance(note.get("text"), str) for note in value)
    )
