"""Rows → arrays of few shapes: length buckets, and an order that is a function of (seed, step)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ipt_jax import seeds
from ipt_jax.layout import Row

_BATCHES_PER_GROUP = 16


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


def bucket(length: int, smallest: int = 32) -> int:
    """The next of 32, 48, 64, 96, 128, 192, 256, …: at most a third of a row is padding, and few shapes compile.

    >>> [bucket(n) for n in (1, 32, 33, 49, 65, 100, 200)]
    [32, 32, 48, 64, 96, 128, 256]
    """
    size = smallest
    while True:
        for candidate in (size, size * 3 // 2):
            if length <= candidate:
                return candidate
        size *= 2


def collate(members: Sequence[Sequence[Row]], limit: int | None = None, held: np.ndarray | None = None) -> Batch:
    """Stacks each member's rows.

    Worked example, one member, one row: tokens (7, 8, 9, 5) with `source_length` 2 learn 9 and 5. The
    hidden state of token 1 predicts 9 and that of token 2 predicts 5, so `target_positions` begins
    (1, 2), `targets` (9, 5), `weights` (1, 1).

    Args:
      members: K lists of B rows, every row with a target and at least one source token.
      limit: tokens no bucket may pass (the model's positions less the prompt rows).
      held: bool[K, B], the rows to write, those of this process's devices; the others stay zero. None writes all.
    """
    rows = [row for member in members for row in member]
    length = bucket(max(len(row.tokens) for row in rows))
    length = length if limit is None else min(length, limit)
    targets = bucket(max(len(row.tokens) - row.source_length for row in rows))
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


def step_indices(seed: int, step: int, batch_size: int, lengths: tuple[int, ...], grouped: bool = True) -> np.ndarray:
    """Which examples step `step` learns from under `seed`: i64[batch_size].

    Each epoch is a fresh permutation of all examples; a batch may straddle two epochs. No state: a
    resumed run asks for the step it stands at.

    Args:
      lengths: tokens of each example.
      grouped: let examples of similar length share a batch, so that little of it is padding. Examples are
        drawn at random into groups of 16 batches and only sorted within their group.
    """
    count = len(lengths)
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = range(places[0] // count, places[-1] // count + 1)
    orders = {epoch: _epoch_order(seed, epoch, batch_size, lengths, grouped) for epoch in epochs}
    return np.array([orders[place // count][place % count] for place in places])


def times_drawn(seed: int, steps: int, batch_size: int, lengths: tuple[int, ...], grouped: bool = True) -> np.ndarray:
    """How often each example is learned from in the first `steps` steps: i64[len(lengths)]; see `step_indices`.

    Worked example: 3 steps of 4 draw each of 10 examples once and two of them, the first of the second epoch, again.
    """
    epochs, rest = divmod(steps * batch_size, len(lengths))
    times = np.full(len(lengths), epochs)
    if rest:
        times[_epoch_order(seed, epochs, batch_size, lengths, grouped)[:rest]] += 1
    return times


@functools.lru_cache(maxsize=64)
def _epoch_order(seed: int, epoch: int, batch_size: int, lengths: tuple[int, ...], grouped: bool) -> np.ndarray:
    order = seeds.rng(seed, "order", epoch).permutation(len(lengths))
    if not grouped:
        return order
    sizes, group = np.asarray(lengths), _BATCHES_PER_GROUP * batch_size
    for start in range(0, len(order), group):
        chosen = order[start : start + group]
        chosen = chosen[np.argsort(sizes[chosen], kind="stable")]
        whole = len(chosen) // batch_size * batch_size
        batches = chosen[:whole].reshape(-1, batch_size)
        # Without the seed: all members of a population have their long batches at the same steps.
        shuffled = seeds.rng(0, "groups", epoch, start).permutation(len(batches))
        order[start : start + group] = np.concatenate([batches[shuffled].ravel(), chosen[whole:]])
    return order
