"""Rows of a split with their tokens in one flat array, and what of them fits the room beside a prompt."""

from __future__ import annotations

import copy
import dataclasses
from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from ipt_jax.rows.layout import Row


class FlatRows(Sequence[Row]):
    """Rows whose tokens take four bytes each; a tuple of Python's whole numbers takes forty. A row is made when asked.

    Attributes:
      lengths: i64[N], tokens of each row.
      source_lengths: i64[N], those of them before the target.
    """

    def __init__(self, rows: Iterable[Row]):
        tokens, lengths = array("i"), array("q")
        self._rest: list[Row] = []
        for row in rows:
            tokens.extend(row.tokens)
            lengths.append(len(row.tokens))
            self._rest.append(dataclasses.replace(row, tokens=()))
        self._tokens = np.array(tokens, np.int32)
        self.lengths = np.array(lengths, np.int64)
        self.source_lengths = np.array([row.source_length for row in self._rest], np.int64)
        self._sizes, self._ends = self.lengths, np.cumsum(self.lengths)
        self._others: dict[int, tuple[FlatRows, int]] = {}

    def __len__(self) -> int:
        return len(self._rest)

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        if index in self._others:
            rows, place = self._others[index]
            return rows[place]
        end = self._ends[index]
        tokens = self._tokens[end - self._sizes[index] : end]
        return dataclasses.replace(self._rest[index], tokens=tuple(tokens.tolist()))

    def common_with(self, tokens: Sequence[int]) -> int:
        """How many of some tokens all rows begin with; none may be shorter than these."""
        kept = np.ones(len(self), bool)
        kept[list(self._others)] = False
        starts = (self._ends - self._sizes)[kept]
        for place, token in enumerate(tokens):
            if (self._tokens[starts + place] != token).any():
                tokens = tokens[:place]
                break
        for rows, place in self._others.values():
            tokens = tokens[: _common_with(tokens, [rows[place]])]
        return len(tokens)

    def with_others(self, places: Sequence[int], rows: Iterable[Row]) -> FlatRows:
        """The same rows, but at these places others. What is not replaced is shared with these, not copied."""
        others, changed = FlatRows(rows), copy.copy(self)
        changed.lengths, changed.source_lengths = self.lengths.copy(), self.source_lengths.copy()
        changed.lengths[places], changed.source_lengths[places] = others.lengths, others.source_lengths
        changed._others = self._others | {place: (others, i) for i, place in enumerate(places)}
        return changed


# Tokens that rows must have in common before these are run apart: for a word or two, a program's own work is more.
WORTH_SHARING = 16


def shared_tokens(*splits: Sequence[Row]) -> int:
    """How many first tokens all rows of some splits have in common and are worth running once for all of them.

    Every row keeps at least one source token of its own, whose state predicts its target. Worked example, if one token
    were worth it: (7, 8, 9, 5) and (7, 8, 4, 5), each with a target of one token, share (7, 8).
    """
    first, most = splits[0][0].tokens, min(int((row_sizes(rows) @ (1, -1)).min()) for rows in splits) - 1
    common = min(_common_with(first[:most], rows) for rows in splits)
    return common if common >= WORTH_SHARING else 0


def _common_with(tokens: Sequence[int], rows: Sequence[Row]) -> int:
    """How many of the tokens all rows begin with; none is shorter than these."""
    if isinstance(rows, FlatRows):
        return rows.common_with(tokens)
    for row in rows:
        tokens = tokens[: common_tokens(tokens, row.tokens)]
    return len(tokens)


def common_tokens(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens both begin with."""
    differing = (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    return next(differing, min(len(a), len(b)))


def row_sizes(rows: Sequence[Row]) -> np.ndarray:
    """i64[N, 2]: tokens of each row, and how many of them are targets."""
    if isinstance(rows, FlatRows):
        return np.stack([rows.lengths, rows.lengths - rows.source_lengths], axis=1)
    sizes = [(len(row.tokens), len(row.tokens) - row.source_length) for row in rows]
    return np.array(sizes, np.int64).reshape(-1, 2)
