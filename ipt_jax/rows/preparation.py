"""Splits and a layout → rows: demonstrations chosen, texts laid out, lengths checked before anything compiles."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import ml_collections
import numpy as np

from ipt_jax import retrieval
from ipt_jax.models.loading import FrozenLM
from ipt_jax.retrieval import MeanHiddenStates, Neighbours, Pool, SentenceEncoder, bm25
from ipt_jax.rows.flat_rows import FlatRows
from ipt_jax.rows.layout import Demonstration, Row, Template, encode
from ipt_jax.tasks.base import Task, load_split
from ipt_jax.tasks.near_duplicates import overlap_counts

# Layouts that are kept, the last used ones, and as many that differ from them in the rows that do not fit a room.
# DART's whole training split, with a demonstration each, takes 100 MB.
_KEPT = 16


@dataclasses.dataclass(frozen=True)
class PreparedSplit:
    """A split as the model will see it.

    Attributes:
      examples: the table with id, input, target, references.
      rows: one per example, in its order.
      duplicates_excluded: see `Neighbours`; 0 without demonstrations.
    """

    examples: datasets.Dataset
    rows: Sequence[Row]
    duplicates_excluded: int


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


class Preparer:
    """Prepares splits of one task for one language model, each (split, layout, seed) once, for all prompt lengths.

    A row that fits is the same whatever room is left: what is tokenised once serves every prompt, and for each only the
    rows that do not fit beside it are laid out again.

    Args:
      lm: for the tokenizer, the positions and dense retrieval.
      task: where examples come from.
      cache_dir: keeps Arrow tables, vectors and neighbours between processes.
    """

    def __init__(self, lm: FrozenLM, task: Task, cache_dir: Path):
        self.lm, self.task, self.cache_dir = lm, task, Path(cache_dir)
        self.split = functools.cache(self._split)
        self._neighbours = functools.cache(self._find_neighbours)
        self._shown = functools.cache(self._find_shown)
        self._whole = functools.lru_cache(_KEPT)(self._lay_out_whole)
        self.rows = functools.lru_cache(_KEPT)(self._rows)
        self.overlap = functools.cache(self._overlap)

    def _split(self, name: str, limit: int) -> datasets.Dataset:
        return load_split(self.task, name, limit=limit or None, cache_dir=self.cache_dir / "splits")

    def _rows(
        self,
        split: str,
        limit: int,
        *,
        shown: Retrieval | None,
        template: Template,
        budget: int,
        overflow: str,
        with_target: bool,
        end_token: bool = True,
    ) -> PreparedSplit:
        """Lays a split out.

        Args:
          shown: the demonstrations; None for none.
          budget: tokens of source and target together; see `layout.encode`.
          with_target: whether the rows are to be learned (or their loss measured) rather than continued.
          end_token: whether a target ends with the tokenizer's end token.
        """
        examples = self.split(split, limit)
        neighbours = self._neighbours(split, limit, shown) if shown else None
        rows = self._whole(split, limit, shown, template, with_target, end_token)
        beyond = np.flatnonzero(rows.lengths > budget)
        if beyond.size:
            again = self._laid_out(
                self._named(examples.select(beyond), with_target),
                shown,
                neighbours and neighbours.of(beyond),
                template=template,
                budget=budget,
                overflow=overflow,
                end_token=end_token,
            )
            rows = rows.with_others(beyond.tolist(), again)
        return PreparedSplit(examples, rows, neighbours.duplicates_excluded if neighbours else 0)

    def _lay_out_whole(
        self,
        split: str,
        limit: int,
        shown: Retrieval | None,
        template: Template,
        with_target: bool,
        end_token: bool,
    ) -> FlatRows:
        """A split with nothing dropped and nothing cut, as if the model had positions without end."""
        neighbours = self._neighbours(split, limit, shown) if shown else None
        named = self._named(self.split(split, limit), with_target)
        settings = {"template": template, "budget": math.inf, "overflow": "fail", "end_token": end_token}
        return FlatRows(self._laid_out(named, shown, neighbours, **settings))

    def _named(self, examples: datasets.Dataset, with_target: bool) -> Iterator[tuple[str, str, str | None]]:
        """Each example's name in an error, its input, and its target where it is to be learned."""
        for example in examples:
            yield f"{self.task.name} {example['id']}", example["input"], example["target"] if with_target else None

    def continued(
        self, settings: ml_collections.FrozenConfigDict, ids: Sequence[str], texts: Sequence[str]
    ) -> list[Row]:
        """Rows of inputs that are in no split, laid out as a run of these settings lays out what it continues.

        Raises:
          InputError: an input does not fit, or the data that demonstrations come from is missing.
        """
        shown = retrieval_of(settings)
        neighbours = self._search(Pool(ids, texts, "input"), shown) if shown else None
        layout = settings.layout
        laid_out = self._laid_out(
            ((f"input {id!r}", text, None) for id, text in zip(ids, texts, strict=True)),
            shown,
            neighbours,
            template=Template(**layout.template.to_dict()),
            budget=self.lm.decoder.config.max_positions - layout.prompt_tokens - settings.decoding.max_new_tokens,
            overflow=layout.overflow,
        )
        return list(laid_out)

    def _laid_out(
        self,
        examples: Iterable[tuple[str, str, str | None]],
        shown: Retrieval | None,
        neighbours: Neighbours | None,
        *,
        template: Template,
        budget: float,
        overflow: str,
        end_token: bool = True,
    ) -> Iterator[Row]:
        """Rows of examples, each its name in an error, its input, and its target or None."""
        tokenizer = self.lm.tokenizer
        pool = self._shown(shown.train_limit) if shown else {}
        for i, (name, text, target) in enumerate(examples):
            yield encode(
                template,
                tokenizer,
                text,
                _demonstrations(neighbours, pool, i) if neighbours else [],
                budget=budget,
                overflow=overflow,
                target=target,
                bos_id=tokenizer.bos_id,
                eos_id=tokenizer.eos_ids[0] if end_token else None,
                where=name,
            )

    def _find_shown(self, train_limit: int) -> dict[str, list[str]]:
        """What demonstrations are made of, by column: the texts are held once, however many rows show them."""
        examples = self.split("train", train_limit)
        return {column: examples[column][:] for column in ("id", "input", "target")}

    def _overlap(self, split: str, limit: int, train_limit: int) -> dict[str, int]:
        """What a split shares with the training examples: see `overlap_counts`. A second for all of DART."""
        evaluated, train = self.split(split, limit), self.split("train", train_limit)
        return overlap_counts(evaluated["input"][:], train["input"][:])

    def _find_neighbours(self, split: str, limit: int, shown: Retrieval) -> Neighbours:
        queries = self._pool(split, limit)
        if shown.how == "random":
            return self._search(queries, shown)
        key = bm25.key(shown.terms) if shown.how == "bm25" else self._embedder(shown).key
        settings = (key, str(shown.k), shown.selection, str(shown.exclude_duplicates))
        pool = self._pool("train", shown.train_limit)
        return retrieval.kept_neighbours(
            self.cache_dir / "neighbours", settings, queries, pool, lambda: self._search(queries, shown)
        )

    def _search(self, queries: Pool, shown: Retrieval) -> Neighbours:
        pool, exclude = self._pool("train", shown.train_limit), shown.exclude_duplicates
        if shown.how == "random":
            return retrieval.random_neighbours(queries, pool, shown.k, seed=shown.seed, exclude_duplicates=exclude)
        options = {"selection": shown.selection, "exclude_duplicates": exclude}
        if shown.how == "bm25":
            return bm25.bm25_neighbours(queries, pool, shown.k, terms=shown.terms, **options)
        return retrieval.dense_neighbours(queries, pool, shown.k, embed=self._embedder(shown), **options)

    def _pool(self, split: str, limit: int) -> Pool:
        examples = self.split(split, limit)
        return Pool(examples["id"][:], examples["input"][:], split)

    def _embedder(self, shown: Retrieval) -> MeanHiddenStates | SentenceEncoder:
        folder, lm = self.cache_dir / "embeddings", self.lm
        if shown.how == "sentence_transformer":
            return SentenceEncoder(Path(shown.encoder), folder)
        return MeanHiddenStates(lm.decoder, lm.params, lm.tokenizer, f"{lm.fingerprint}:{lm.dtype}", folder)


def retrieval_of(settings: ml_collections.FrozenConfigDict) -> Retrieval | None:
    """How a run of these settings finds its demonstrations; None where it shows none."""
    layout = settings.layout
    if not layout.demonstrations:
        return None
    return Retrieval(
        layout.retriever,
        layout.demonstrations,
        settings.limit.get("train", 0),
        layout.selection,
        layout.encoder,
        layout.terms,
        layout.exclude_duplicates,
        settings.seed if layout.retriever == "random" else None,
    )


def _demonstrations(neighbours: Neighbours, pool: dict[str, list[Any]], index: int) -> list[Demonstration]:
    """Farthest first, so that the nearest stands beside the input and the first to be dropped is the farthest."""
    places = neighbours.indices[index]
    similarities = [None] * len(places) if neighbours.similarities is None else neighbours.similarities[index].tolist()
    return [
        Demonstration(pool["id"][place], pool["input"][place], pool["target"][place], similarity)
        for place, similarity in zip(places[::-1], similarities[::-1], strict=True)
    ]
