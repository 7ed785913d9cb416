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
    """

    tokens: np.ndarray
    target_positions: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def collate(
    members: Sequence[Sequence[Row]], shapes: np.ndarray | None = None, held: np.ndarray | None = None
) -> Batch:
    """Stacks each member's rows.

    Worked example, one member, one row: tokens (7, 8, 9, 5) with `source_length` 2 learn 9 and 5. The
    hidden state of token 1 predicts 9 and that of token 2 predicts 5, so `target_positions` begins
    (1, 2), `targets` (9, 5), `weights` (1, 1).

    Args:
      members: K lists of B rows, every row with a target and at least one source token.
      shapes: of `few_shapes`: T and R are the first of them that fit. None: the batch has its own.
      held: bool[K, B], the rows to write, those of this process's devices; the others stay zero. None writes all.
    """
    needed = np.max([row_sizes(member).max(axis=0) for member in members], axis=0)
    shapes = few_shapes(needed[None], 1) if shapes is None else shapes
    length, targets = shapes[(shapes >= needed).all(axis=1)][0]
    shape = (len(members), len(members[0]))
    batch = Batch(
        tokens=np.zeros((*shape, length), np.int32),
        target_positions=np.zeros((*shape, targets), np.int32),
        targets=np.zeros((*shape, targets), np.int32),
        weights=np.zeros((*shape, targets), np.float32),
    )
    for k, member in enumerate(members):
        for b, row in enumerate(member):
            if held is not None and not held[k, b]:
                continue
            count = len(row.tokens) - row.source_length
            batch.tokens[k, b, : len(row.tokens)] = row.tokens
            batch.target_positions[k, b, :count] = np.arange(row.source_length - 1, len(row.tokens) - 1)
            batch.targets[k, b, :count] = row.tokens[row.source_length :]
            batch.weights[k, b, :count] = 1.0
    return batch
