"""Which training examples stand before an input: the choice of `config.layout`, and a retriever for each name."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Protocol

from ipt_jax.retrieval import bm25
from ipt_jax.retrieval.dense import dense_neighbours
from ipt_jax.retrieval.embedders import MeanHiddenStates, SentenceEncoder
from ipt_jax.retrieval.from_file import content_hash, neighbours_in
from ipt_jax.retrieval.pool import Neighbours, Pool
from ipt_jax.retrieval.random_draw import random_neighbours
from ipt_jax.runtime import named_parts


@dataclasses.dataclass(frozen=True)
class Retrieval:
    """Which training examples are shown before an input, and how many.

    Attributes:
      how, selection, encoder, terms, exclude_duplicates: `retriever` and the others of `config.layout`.
      k: demonstrations of each input.
      train_limit: `config.limit.train`.
      seed: of a random draw; None where none is made.
    """

    how: str
    k: int
    train_limit: int = 0
    selection: str = "nearest"
    encoder: str = ""
    terms: str = "auto"
    exclude_duplicates: bool = True
    seed: int | None = None


class Retriever(Protocol):
    """What finds the demonstrations of inputs; made with a `Retrieval`, a `FrozenLM` and a folder for what it keeps.

    Attributes:
      key: what a search is kept under on disk, beside the texts, `k`, `selection` and `exclude_duplicates`: all else
        that can change it. None for one that is as quick as reading.
    """

    key: str | None

    def __init__(self, shown: Retrieval, lm: Any, folder: Path): ...

    def find(self, queries: Pool, pool: Pool) -> Neighbours:
        """The demonstrations of each query, out of the pool. Raises InputError where the pool has not enough."""


class Random:
    """Drawn at random; equal for equal seeds."""

    key = None

    def __init__(self, shown: Retrieval, lm: Any, folder: Path):
        self._shown = shown

    def find(self, queries: Pool, pool: Pool) -> Neighbours:
        shown = self._shown
        return random_neighbours(queries, pool, shown.k, seed=shown.seed, exclude_duplicates=shown.exclude_duplicates)


class Bm25:
    """The most, or least, similar ones by their words."""

    def __init__(self, shown: Retrieval, lm: Any, folder: Path):
        self._shown, self.key = shown, bm25.key(shown.terms)

    def find(self, queries: Pool, pool: Pool) -> Neighbours:
        shown = self._shown
        options = {"selection": shown.selection, "exclude_duplicates": shown.exclude_duplicates}
        return bm25.bm25_neighbours(queries, pool, shown.k, terms=shown.terms, **options)


class Dense:
    """The most, or least, similar ones by the cosine of the language model's mean last states."""

    def __init__(self, shown: Retrieval, lm: Any, folder: Path):
        self._shown, self._embed = shown, self._embedder(shown, lm, folder)
        self.key = self._embed.key

    def _embedder(self, shown: Retrieval, lm: Any, folder: Path) -> MeanHiddenStates | SentenceEncoder:
        return MeanHiddenStates(lm.decoder, lm.params, lm.tokenizer, f"{lm.fingerprint}:{lm.dtype}", folder)

    def find(self, queries: Pool, pool: Pool) -> Neighbours:
        shown = self._shown
        options = {"selection": shown.selection, "exclude_duplicates": shown.exclude_duplicates}
        return dense_neighbours(queries, pool, shown.k, embed=self._embed, **options)


class SentenceTransformer(Dense):
    """The same by the vectors of a sentence-transformers model, `config.layout.encoder`."""

    def _embedder(self, shown: Retrieval, lm: Any, folder: Path) -> MeanHiddenStates | SentenceEncoder:
        return SentenceEncoder(Path(shown.encoder), folder)


class FromFile:
    """Those that a file names, whose path `config.layout.retriever` is."""

    key = None

    def __init__(self, shown: Retrieval, lm: Any, folder: Path):
        self._shown = shown

    def find(self, queries: Pool, pool: Pool) -> Neighbours:
        shown = self._shown
        return neighbours_in(Path(shown.how), queries, pool, shown.k, exclude_duplicates=shown.exclude_duplicates)


# By what `config.layout.retriever` calls them.
RETRIEVERS: dict[str, type[Retriever]] = {
    "random": Random,
    "bm25": Bm25,
    "dense": Dense,
    "sentence_transformer": SentenceTransformer,
}


def retriever_named(how: str, place: str = "config.layout.retriever") -> type[Retriever]:
    """The retriever of a name: of the package, `module:object`, an entry point, or the path of neighbours in `.jsonl`.

    Raises:
      InputError: there is none; `place` begins the message.
    """
    if _is_file(how):
        content_hash(how)
        return FromFile
    return named_parts.named(how, RETRIEVERS, named_parts.RETRIEVERS, place)


def retriever_code(how: str) -> str:
    """What a run's identity has of a retriever that is not of the package: a hash of its code, or of its file."""
    return content_hash(how) if _is_file(how) else named_parts.code_hash(how, RETRIEVERS, named_parts.RETRIEVERS)


def _is_file(how: str) -> bool:
    return how.endswith((".jsonl", ".jsonl.gz"))
