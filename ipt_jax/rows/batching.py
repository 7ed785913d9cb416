"""Rows → arrays of few shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ipt_jax.rows.flat_rows import row_sizes
from ipt_jax.rows.layout import Row
from ipt_jax.runtime.shapes import few_shapes


class Batch(NamedTuple):
    """Rows to learn from, for K members of a population. Padding is on the right.

    Attributes:
      tokens: i32[K, B, T], zero where a row has ended.
      target_positions: i32[K, B, R], the token index whose hidden state predicts the target.
      targets: i32[K, B, R], the token to predict there.
      weights: f32[K, B, R], 1 for a real target and 0 for padding.
      shared: i32[K, B, C], tokens before these that all rows of a member begin with; None for none.
      teacher: the same targets behind other tokens, without anything shared: a teacher's rows; None for none.
    """

    tokens: np.ndarray
    target_positions: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    shared: np.ndarray | None = None
    teacher: Batch | None = None


def collate(
    members: Sequence[Sequence[Row]],
    shapes: np.ndarray | None = None,
    held: np.ndarray | None = None,
    shared: int = 0,
) -> Batch:
    """Stacks each member's rows.

    Worked example, one member, one row: tokens (7, 8, 9, 5) with `source_length` 2 learn 9 and 5. The
    hidden state of token 1 predicts 9 and that of token 2 predicts 5, so `target_positions` begins
    (1, 2), `targets` (9, 5), `weights` (1, 1).

    Args:
      members: K lists of B rows, every row with a target and at least one source token.
      shapes: of `few_shapes`: T and R are the first of them that fit. None: the batch has its own.
      shared: C, tokens that all rows of a member begin with and that stand apart: T is of what comes after them.
      held: bool[K, B], the rows to write, those of this process's devices; the others stay zero. None writes all.
    """
    needed = np.max([row_sizes(member).max(axis=0) for member in members], axis=0) - (shared, 0)
    shapes = few_shapes(needed[None], 1) if shapes is None else shapes
    length, targets = shapes[(shapes >= needed).all(axis=1)][0]
    shape = (len(members), len(members[0]))
    batch = Batch(
        tokens=np.zeros((*shape, length), np.int32),
        target_positions=np.zeros((*shape, targets), np.int32),
        targets=np.zeros((*shape, targets), np.int32),
        weights=np.zeros((*shape, targets), np.float32),
        shared=np.zeros((*shape, shared), np.int32) if shared else None,
    )
    for k, member in enumerate(members):
        for b, row in enumerate(member):
            if held is not None and not held[k, b]:
                continue
            count, own = len(row.tokens) - row.source_length, len(row.tokens) - shared
            batch.tokens[k, b, :own] = row.tokens[shared:]
            if shared:
                batch.shared[k, b] = row.tokens[:shared]
            batch.target_positions[k, b, :count] = np.arange(own - count - 1, own - 1)
            batch.targets[k, b, :count] = row.tokens[row.source_length :]
            batch.weights[k, b, :count] = 1.0
    return batch
