"""Splits and a layout → rows: demonstrations chosen, texts laid out, lengths checked before anything compiles."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_collections
import numpy as np

from ipt_jax import retrieval
from ipt_jax.errors import InputError
from ipt_jax.models.loading import FrozenLM
from ipt_jax.models.tokenizer import Tokenizer
from ipt_jax.retrieval import Neighbours, Pool, Retrieval, Retriever, retriever_code, retriever_named
from ipt_jax.rows.chat import chat_of
from ipt_jax.rows.flat_rows import FlatRows
from ipt_jax.rows.layout import Demonstration, Format, Item, Layout, Row, Template, encode
from ipt_jax.tasks.base import Task, load_split
from ipt_jax.tasks.near_duplicates import overlap_counts

if TYPE_CHECKING:
    import datasets

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
      template: what wrote the rows, and says what of a continuation is the answer.
    """

    examples: datasets.Dataset
    rows: Sequence[Row]
    duplicates_excluded: int
    template: Format = Template()


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

    def _rows(self, split: str, limit: int, layout: Layout, *, budget: int, with_target: bool) -> PreparedSplit:
        """Lays a split out.

        Args:
          budget: tokens of source and target together; see `layout.encode`.
          with_target: whether the rows are to be learned (or their loss measured) rather than continued.
        """
        examples, shown = self.split(split, limit), layout.retrieval
        neighbours = self._neighbours(split, limit, shown) if shown else None
        # With room without end nothing is dropped or cut, whatever is to happen to what overflows.
        rows = self._whole(split, limit, dataclasses.replace(layout, overflow="fail"), with_target)
        beyond = np.flatnonzero(rows.lengths > budget)
        if beyond.size:
            named = self._named(examples.select(beyond), with_target)
            again = self._laid_out(named, layout, neighbours and neighbours.of(beyond), budget)
            rows = rows.with_others(beyond.tolist(), again)
        return PreparedSplit(examples, rows, neighbours.duplicates_excluded if neighbours else 0, layout.template)

    def _lay_out_whole(self, split: str, limit: int, layout: Layout, with_target: bool) -> FlatRows:
        """A split with nothing dropped and nothing cut, as if the model had positions without end."""
        neighbours = self._neighbours(split, limit, layout.retrieval) if layout.retrieval else None
        named = self._named(self.split(split, limit), with_target)
        return FlatRows(self._laid_out(named, layout, neighbours, math.inf))

    def _named(self, examples: datasets.Dataset, with_target: bool) -> Iterator[Item]:
        for example in examples:
            target = example["target"] if with_target else None
            yield Item(f"{self.task.name} {example['id']}", example["input"], target)

    def continued(
        self, settings: ml_collections.FrozenConfigDict, ids: Sequence[str], texts: Sequence[str]
    ) -> list[Row]:
        """Rows of inputs that are in no split, laid out as a run of these settings lays out what it continues.

        Raises:
          InputError: an input does not fit, or the data that demonstrations come from is missing.
        """
        layout = layout_of(settings, self.lm.tokenizer)
        shown = layout.retrieval
        neighbours = self._retriever(shown).find(Pool(ids, texts, "input"), self._train_pool(shown)) if shown else None
        room = self.lm.decoder.config.max_positions - settings.layout.prompt_tokens
        items = (Item(f"input {id!r}", text) for id, text in zip(ids, texts, strict=True))
        return list(self._laid_out(items, layout, neighbours, room - settings.decoding.max_new_tokens))

    def _laid_out(
        self, items: Iterable[Item], layout: Layout, neighbours: Neighbours | None, budget: float
    ) -> Iterator[Row]:
        tokenizer, shown = self.lm.tokenizer, layout.retrieval
        ends = layout.template.ends(tokenizer, layout.end_token)
        pool = self._shown(shown.train_limit) if shown else {}
        for i, item in enumerate(items):
            demonstrations = _demonstrations(neighbours, pool, i) if neighbours else []
            yield encode(layout, tokenizer, item, demonstrations, budget=budget, ends=ends)

    def _find_shown(self, train_limit: int) -> dict[str, list[str]]:
        """What demonstrations are made of, by column: the texts are held once, however many rows show them."""
        examples = self.split("train", train_limit)
        return {column: examples[column][:] for column in ("id", "input", "target")}

    def _overlap(self, split: str, limit: int, train_limit: int) -> dict[str, int]:
        """What a split shares with the training examples: see `overlap_counts`. A second for all of DART."""
        evaluated, train = self.split(split, limit), self.split("train", train_limit)
        return overlap_counts(evaluated["input"][:], train["input"][:])

    def _find_neighbours(self, split: str, limit: int, shown: Retrieval) -> Neighbours:
        queries, pool, retriever = self._pool(split, limit), self._train_pool(shown), self._retriever(shown)
        if retriever.key is None:
            return retriever.find(queries, pool)
        settings = (
            retriever.key + retriever_code(shown.how),
            str(shown.k),
            shown.selection,
            str(shown.exclude_duplicates),
        )
        return retrieval.kept_neighbours(
            self.cache_dir / "neighbours", settings, queries, pool, lambda: retriever.find(queries, pool)
        )

    def _retriever(self, shown: Retrieval) -> Retriever:
        return retriever_named(shown.how)(shown, self.lm, self.cache_dir / "embeddings")

    def _train_pool(self, shown: Retrieval) -> Pool:
        return self._pool("train", shown.train_limit)

    def _pool(self, split: str, limit: int) -> Pool:
        examples = self.split(split, limit)
        return Pool(examples["id"][:], examples["input"][:], split)


def layout_of(settings: ml_collections.FrozenConfigDict, tokenizer: Tokenizer, *, teacher: bool = False) -> Layout:
    """How a run of these settings lays its rows out, or those that its teacher sees.

    Raises:
      InputError: it is to be a chat, and the model has no chat template.
    """
    layout = settings.layout
    count = settings.training.teacher_demonstrations if teacher else layout.demonstrations
    shown = count and Retrieval(
        layout.retriever,
        count,
        settings.limit.get("train", 0),
        layout.selection,
        layout.encoder,
        layout.terms,
        layout.exclude_duplicates,
        settings.seed if layout.retriever == "random" else None,
    )
    return Layout(
        _format_of(layout, tokenizer),
        layout.overflow,
        layout.end_token,
        shown or None,
        "first" if teacher else layout.prompt_place,
    )


def _format_of(layout: ml_collections.FrozenConfigDict, tokenizer: Tokenizer) -> Format:
    if not layout.chat:
        return Template(**layout.template.to_dict())
    try:
        return chat_of(tokenizer, layout.system, layout.user)
    except InputError as error:
        raise InputError(f"config.layout.chat: {error}") from error


def _demonstrations(neighbours: Neighbours, pool: dict[str, list[Any]], index: int) -> list[Demonstration]:
    """Farthest first, so that the nearest stands beside the input and the first to be dropped is the farthest."""
    places = neighbours.indices[index]
    similarities = [None] * len(places) if neighbours.similarities is None else neighbours.similarities[index].tolist()
    return [
        Demonstration(pool["id"][place], pool["input"][place], pool["target"][place], similarity)
        for place, similarity in zip(places[::-1], similarities[::-1], strict=True)
    ]
