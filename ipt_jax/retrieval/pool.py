"""Texts with ids, what a query may not be shown, and the step from similar inputs to the entries that have them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from ipt_jax.errors import InputError

SELECTIONS = ("nearest", "farthest")


@dataclasses.dataclass(frozen=True)
class Pool:
    """Texts with ids; for demonstrations always those of the training split.

    Attributes:
      ids: distinct within the split, and no further: files whose rows are numbered from 0 have the same ids.
      split: what the ids belong to. A query is an entry of the pool only where both are of one split.
    """

    ids: Sequence[str]
    inputs: Sequence[str]
    split: str = "train"


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """For each query its demonstrations in the pool, the first choice first.

    Attributes:
      indices: i64[queries, k] into the pool. Equal similarities stand in the order of the pool.
      similarities: f32[queries, k], cosines or BM25 scores; None where the draw was random.
      duplicates_excluded: pairs of a query and a pool entry with the very same input that were passed over
        (a query that is itself in the pool is no duplicate of itself).
    """

    indices: np.ndarray
    similarities: np.ndarray | None
    duplicates_excluded: int

    def of(self, queries: np.ndarray) -> Neighbours:
        """Those of some queries, i64[n], in that order; `duplicates_excluded` stays that of all."""
        similarities = None if self.similarities is None else self.similarities[queries]
        return dataclasses.replace(self, indices=self.indices[queries], similarities=similarities)


@dataclasses.dataclass(frozen=True)
class Distinct:
    """Texts without their repetitions, in the order in which they first occur.

    Released training sets repeat inputs: DART's 62,659 have 30,136 different ones. Similarities are computed
    between different texts only, a quarter of the work there, and repeated texts get exactly equal ones.

    Attributes:
      texts: each once.
      group: i64[n], which of `texts` each of the n given ones is.
    """

    texts: list[str]
    group: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> Distinct:
        """
        >>> Distinct.of(["b", "a", "b"])
        Distinct(texts=['b', 'a'], group=array([0, 1, 0]))
        """
        numbers: dict[str, int] = {}
        group = np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int64)
        return cls(list(numbers), group)

    def places(self, width: int) -> np.ndarray:
        """Where each text occurs: its first `width` places, filled up with -1; i64[len(texts), at most width].

        >>> Distinct.of(["b", "a", "b"]).places(2)
        array([[ 0,  2],
               [ 1, -1]])
        """
        order = np.argsort(self.group, kind="stable")
        sizes = np.bincount(self.group)
        starts = np.cumsum(sizes) - sizes
        columns = np.arange(min(width, sizes.max()))[None, :]
        places = order[np.minimum(starts[:, None] + columns, len(order) - 1)]
        return np.where(columns < sizes[:, None], places, -1)


@dataclasses.dataclass(frozen=True)
class Exclusions:
    """What a query may not be shown: itself, and (by default) any entry with the same input."""

    pool: Distinct
    query_group: np.ndarray  # i64[queries], the query's input in `pool.texts`, or -1
    query_self: np.ndarray  # i64[queries], the query's own place in the pool, or -1
    duplicates: bool

    @classmethod
    def between(cls, queries: Pool, pool: Pool, duplicates: bool) -> Exclusions:
        distinct = Distinct.of(pool.inputs)
        groups = {text: i for i, text in enumerate(distinct.texts)}
        places = {id: i for i, id in enumerate(pool.ids)} if queries.split == pool.split else {}
        return cls(
            distinct,
            np.array([groups.get(text, -1) for text in queries.inputs]),
            np.array([places.get(id, -1) for id in queries.ids]),
            duplicates,
        )

    def count(self) -> int:
        """Pairs of a query and another entry with its input that are passed over."""
        if not self.duplicates:
            return 0
        sizes = np.bincount(self.pool.group)
        same = np.where(self.query_group >= 0, sizes[self.query_group], 0)
        return int((same - (self.query_self >= 0)).sum())

    def barred(self, query: int | np.ndarray, entry: np.ndarray) -> np.ndarray:
        """Whether a query may not be shown an entry of the pool; the arguments broadcast."""
        itself = entry == self.query_self[query]
        return itself | (self.pool.group[entry] == self.query_group[query]) if self.duplicates else itself


# (queries' distinct inputs, the pool's, how many) → similarities f32[queries, how many] and places in the
# pool's distinct inputs i64[queries, how many]: the first choice first, equal ones in the order of the pool.
Search = Callable[[list[str], Distinct, int], tuple[np.ndarray, np.ndarray]]


def choose(
    queries: Pool, pool: Pool, k: int, search: Search, *, selection: str = "nearest", exclude_duplicates: bool = True
) -> Neighbours:
    """The k entries that each query is shown, of the inputs that `search` ranks.

    k + 1 inputs are enough: of all that a query may not be shown, at most one input loses all its entries
    (its own), and the k first choices among entries have at most k different inputs.

    Raises:
      InputError: the pool has fewer than k entries that some query may be shown.
    """
    exclusions = Exclusions.between(queries, pool, exclude_duplicates)
    asked, distinct = Distinct.of(queries.inputs), exclusions.pool
    similarities, found = search(asked.texts, distinct, min(k + 1, len(distinct.texts)))
    similarities, found = similarities[asked.group], found[asked.group]

    # The entries that have these inputs, [queries, inputs × entries]: k + 1 of each input, since one may be the query.
    places = distinct.places(k + 1)
    entries = places[found].reshape(len(found), -1)
    similarities = np.repeat(similarities, places.shape[1], axis=1)
    barred = (entries < 0) | exclusions.barred(np.arange(len(found))[:, None], entries)
    short = np.flatnonzero((~barred).sum(axis=1) < k)
    if len(short):
        raise too_small(k, len(pool.ids), queries.ids[short[0]])
    rank = np.where(barred, np.inf, similarities if selection == "farthest" else -similarities)
    chosen = np.lexsort((entries, rank), axis=-1)[:, :k]
    return Neighbours(
        np.take_along_axis(entries, chosen, axis=1),
        np.take_along_axis(similarities, chosen, axis=1),
        exclusions.count(),
    )


def too_small(k: int, size: int, id: str) -> InputError:
    return InputError(
        f"layout.demonstrations={k}, but of the {size} training examples fewer may be shown to {id} (never itself, "
        "nor one with the same input); raise limit.train or lower layout.demonstrations"
    )
