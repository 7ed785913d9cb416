"""What a population learns from: the batch of each step and the batches of the dev loss, in few shapes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ipt_jax.rows.batching import Batch, collate
from ipt_jax.rows.flat_rows import row_sizes, shared_tokens
from ipt_jax.rows.layout import Row
from ipt_jax.rows.order import Order
from ipt_jax.runtime.shapes import few_shapes

# Shapes of the training batches: at most so many, and one for so many steps. Each is a program to compile, about eight
# seconds for SmolLM2 on two cores, where a step takes two. With sixteen at least 0.88 of all positions hold a token on
# the paper's tasks (`python -m benchmarks.padding`).
MOST_SHAPES, STEPS_PER_SHAPE = 16, 40
DEV_SHAPES = 2


class Learner(NamedTuple):
    """What one member of a population learns from, in the order that its seed draws, and is measured on.

    Attributes:
      train_teachers, dev_teachers: what a teacher sees of each of the rows; none where the targets are learned.
    """

    seed: int
    learning_rate: float
    train_rows: Sequence[Row]
    dev_rows: Sequence[Row]
    train_teachers: Sequence[Row] = ()
    dev_teachers: Sequence[Row] = ()


def _collated(rows: list[list[Row]], shapes: np.ndarray, shared: int) -> Batch:
    return collate(rows, shapes, shared=shared)


class Feed:
    """The batches of a population: at most 16 shapes of training batches and 2 of dev batches are to be compiled.

    Which shapes follows from all the steps, which are known beforehand. Nothing but padding depends on it: a member
    sees the same rows at the same steps whoever is trained beside it.

    Args:
      learners: with as many rows each.
      training: the settings that they share: `steps`, `batch_size`, `group_by_length`.
      limit: tokens that no row has more of.
      rule: of `Order`.
      put: takes each member's rows of a batch, the shapes, and how many first tokens stand apart, and gives the batch
        as devices take it.

    Attributes:
      shared: how many first tokens all rows of each member have in common, if it pays to run them once for all.
      shapes: i64[n, 2], see `few_shapes`; of what comes after the shared tokens.
      dev: the batches of the dev loss.
      learning_rates: f32[K], the members' own.
    """

    def __init__(
        self,
        learners: Sequence[Learner],
        training: Any,
        limit: int,
        rule: int,
        put: Callable[[list[list[Row]], np.ndarray, int], Batch] = _collated,
    ):
        self.learning_rates = np.array([learner.learning_rate for learner in learners], np.float32)
        self._put, self._rows = put, [learner.train_rows for learner in learners]
        sizes = [row_sizes(rows) for rows in self._rows]
        self._orders = [
            Order(learner.seed, each[:, 0], training.batch_size, training.group_by_length, rule)
            for learner, each in zip(learners, sizes, strict=True)
        ]
        needed = np.zeros((training.steps, 2), np.int64)
        for each, order in zip(sizes, self._orders, strict=True):
            needed = np.maximum(needed, each[order.first(training.steps)].max(axis=1))
        self.shared = min(shared_tokens(learner.train_rows, learner.dev_rows) for learner in learners)
        limit -= self.shared
        self.shapes = few_shapes(needed - (self.shared, 0), shapes_for(training.steps), limit)
        dev = _dev_batches([learner.dev_rows for learner in learners], training.batch_size)
        needed = np.array([np.max([row_sizes(rows).max(axis=0) for rows in batch], axis=0) for batch in dev])
        shapes = few_shapes(needed - (self.shared, 0), DEV_SHAPES, limit)
        self.dev = [put(batch, shapes, self.shared) for batch in dev]
        self._teachers = [learner.train_teachers for learner in learners] if learners[0].train_teachers else []
        if self._teachers:
            self._add_teachers(learners, training, limit + self.shared)

    def _add_teachers(self, learners: Sequence[Learner], training: Any, limit: int) -> None:
        """Shapes of the teachers' rows, and those of the dev batches beside these."""
        needed = np.zeros((training.steps, 2), np.int64)
        for rows, order in zip(self._teachers, self._orders, strict=True):
            needed = np.maximum(needed, row_sizes(rows)[order.first(training.steps)].max(axis=1))
        self._teacher_shapes = few_shapes(needed, shapes_for(training.steps), limit)
        dev = _dev_batches([learner.dev_teachers for learner in learners], training.batch_size)
        needed = np.array([np.max([row_sizes(rows).max(axis=0) for rows in batch], axis=0) for batch in dev])
        shapes = few_shapes(needed, DEV_SHAPES, limit)
        taught = [self._put(batch, shapes, 0) for batch in dev]
        self.dev = [batch._replace(teacher=teacher) for batch, teacher in zip(self.dev, taught, strict=True)]

    def batch(self, step: int) -> Batch:
        """The rows that step `step`, counted from 0, learns from."""
        places = [order.at(step).tolist() for order in self._orders]

        def chosen(of_each: Sequence[Sequence[Row]]) -> list[list[Row]]:
            return [[rows[i] for i in own] for rows, own in zip(of_each, places, strict=True)]

        batch = self._put(chosen(self._rows), self.shapes, self.shared)
        if not self._teachers:
            return batch
        return batch._replace(teacher=self._put(chosen(self._teachers), self._teacher_shapes, 0))


def shapes_for(steps: int) -> int:
    """How many shapes the batches of so many steps may have.

    >>> [shapes_for(steps) for steps in (1, 100, 1_000, 10_000)]
    [1, 3, 16, 16]
    """
    return min(MOST_SHAPES, 1 + steps // STEPS_PER_SHAPE)


def _dev_batches(rows_of_each: Sequence[Sequence[Row]], batch_size: int) -> list[list[list[Row]]]:
    """Batches of dev rows, every member's of one batch at the same places; the last one is filled up with a row
    whose target is empty, so that all batches have as many rows and the filling counts for nothing."""
    count = len(rows_of_each[0])
    batches = []
    for start in range(0, count, batch_size):
        batch = []
        for dev_rows in rows_of_each:
            rows = list(dev_rows[start : start + batch_size])
            filler = dataclasses.replace(rows[0], source_length=len(rows[0].tokens))
            batch.append(rows + [filler] * (batch_size - len(rows)))
        batches.append(batch)
    return batches
