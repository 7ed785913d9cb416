"""Splits and a layout → rows: demonstrations chosen, texts laid out, lengths checked before anything compiles."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets

from ipt_jax import retrieval
from ipt_jax.layout import Demonstration, Row, Template, encode
from ipt_jax.models.loading import FrozenLM
from ipt_jax.retrieval import MeanHiddenStates, Neighbours, Pool, SentenceEncoder, bm25
from ipt_jax.runs import Run
from ipt_jax.tasks.base import Task, load_split
from ipt_jax.tasks.overlap import overlap_counts


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


class Preparer:
    """Prepares splits of one task for one language model, each (split, layout, seed) once.

    Args:
      lm: for the tokenizer, the positions and dense retrieval.
      task: where examples come from.
      cache_dir: keeps Arrow tables, vectors and neighbours between processes.
    """

    def __init__(self, lm: FrozenLM, task: Task, cache_dir: Path):
        self.lm, self.task, self.cache_dir = lm, task, Path(cache_dir)
        self.split = functools.cache(self._split)
        self._neighbours = functools.cache(self._find_neighbours)
        self.rows = functools.cache(self._rows)
        self.overlap = functools.cache(self._overlap)

    def _split(self, name: str, limit: int) -> datasets.Dataset:
        return load_split(self.task, name, limit=limit or None, cache_dir=self.cache_dir / "splits")

    def _rows(
        self,
        split: str,
        limit: int,
        *,
        train_limit: int,
        demonstrations: int,
        retriever: str | None,
        selection: str | None,
        encoder: str | None,
        exclude_duplicates: bool | None,
        seed: int | None,
        template: Template,
        budget: int,
        overflow: str,
        with_target: bool,
    ) -> PreparedSplit:
        """Lays a split out.

        Args:
          retriever, selection, encoder: see `config.layout`.
          seed: of a random draw; None where none is made.
          budget: tokens of source and target together; see `layout.encode`.
          with_target: whether the rows are to be learned (or their loss measured) rather than continued.
        """
        examples = self.split(split, limit)
        shown: Callable[[int], list[Demonstration]] = lambda index: []  # noqa: E731
        excluded = 0
        if demonstrations:
            neighbours = self._neighbours(
                split, limit, train_limit, demonstrations, retriever, exclude_duplicates, seed, selection, encoder
            )
            pool, excluded = self.split("train", train_limit), neighbours.duplicates_excluded
            columns = {name: pool[name][:] for name in ("id", "input", "target")}
            shown = functools.partial(_demonstrations, neighbours, columns)
        tokenizer = self.lm.tokenizer
        rows = [
            encode(
                template,
                tokenizer,
                example["input"],
                shown(i),
                budget=budget,
                overflow=overflow,
                target=example["target"] if with_target else None,
                bos_id=tokenizer.bos_id,
                eos_id=tokenizer.eos_ids[0],
                where=f"{self.task.name} {example['id']}",
            )
            for i, example in enumerate(examples)
        ]
        return PreparedSplit(examples, rows, excluded)

    def _overlap(self, split: str, limit: int, train_limit: int) -> dict[str, int]:
        """What a split shares with the training examples: see `overlap_counts`. A second for all of DART."""
        evaluated, train = self.split(split, limit), self.split("train", train_limit)
        return overlap_counts(evaluated["input"][:], train["input"][:])

    def _find_neighbours(
        self,
        split: str,
        limit: int,
        train_limit: int,
        k: int,
        retriever: str,
        exclude_duplicates: bool,
        seed: int | None,
        selection: str,
        encoder: str | None,
    ) -> Neighbours:
        queries, pool = self._pool(split, limit), self._pool("train", train_limit)
        if retriever == "random":
            return retrieval.random_neighbours(queries, pool, k, seed=seed, exclude_duplicates=exclude_duplicates)
        if retriever == "bm25":
            key, find = bm25.KEY, bm25.bm25_neighbours
        else:
            embed = self._embedder(retriever, encoder)
            key, find = embed.key, functools.partial(retrieval.dense_neighbours, embed=embed)
        settings = (key, str(k), selection, str(exclude_duplicates))
        options = {"selection": selection, "exclude_duplicates": exclude_duplicates}
        return retrieval.kept_neighbours(
            self.cache_dir / "neighbours", settings, queries, pool, lambda: find(queries, pool, k, **options)
        )

    def _pool(self, split: str, limit: int) -> Pool:
        examples = self.split(split, limit)
        return Pool(examples["id"][:], examples["input"][:], split)

    def _embedder(self, retriever: str, encoder: str | None) -> MeanHiddenStates | SentenceEncoder:
        folder, lm = self.cache_dir / "embeddings", self.lm
        if retriever == "sentence_transformer":
            return SentenceEncoder(Path(encoder), folder)
        return MeanHiddenStates(lm.decoder, lm.params, lm.tokenizer, f"{lm.fingerprint}:{lm.dtype}", folder)


def rows_of(preparer: Preparer, run: Run, split: str, *, with_target: bool) -> PreparedSplit:
    """A split as the run sees it, to be learned (with targets) or to be continued (without)."""
    layout, limit = run.settings.layout, run.settings.limit
    room = preparer.lm.decoder.config.max_positions - layout.prompt_tokens
    return preparer.rows(
        split,
        limit[split],
        train_limit=limit.get("train", 0),
        demonstrations=layout.demonstrations,
        retriever=layout.retriever,
        selection=layout.selection,
        encoder=layout.encoder,
        exclude_duplicates=layout.exclude_duplicates,
        seed=run.settings.seed if layout.retriever == "random" else None,
        template=Template(**layout.template.to_dict()),
        budget=room if with_target else room - run.settings.decoding.max_new_tokens,
        overflow=layout.overflow,
        with_target=with_target,
    )


def overlap_of(preparer: Preparer, run: Run) -> dict[str, int] | None:
    """What the evaluated examples share with the training examples that the run, or its prompt, has seen.

    None where it has seen none: without demonstrations and with no prompt, or one of other data.
    """
    seen, split = run, run.settings.task.split
    if "train" not in run.settings.limit and run.source is not None and run.source.data_hash == run.data_hash:
        seen = run.source
    if "train" not in seen.settings.limit:
        return None
    return preparer.overlap(split, run.settings.limit[split], seen.settings.limit["train"])


def _demonstrations(neighbours: Neighbours, pool: dict[str, list[Any]], index: int) -> list[Demonstration]:
    """Farthest first, so that the nearest stands beside the input and the first to be dropped is the farthest."""
    places = neighbours.indices[index]
    similarities = [None] * len(places) if neighbours.similarities is None else neighbours.similarities[index].tolist()
    return [
        Demonstration(pool["id"][place], pool["input"][place], pool["target"][place], similarity)
        for place, similarity in zip(places[::-1], similarities[::-1], strict=True)
    ]
