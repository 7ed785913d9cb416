"""Which examples a run learns from at which step: a function of (seed, step), without any state."""

from __future__ import annotations

import functools

import numpy as np

from ipt_jax import seeds

# Rules of order: that of new populations, and that of those whose record names none. They were begun before there was
# a second one, and end as they began.
RULES = (1, 2)
RULE, UNNAMED = 2, 1
# Batches of a group, whose examples are sorted by length. Of what batches of the paper's tasks would take that are each
# as wide as their longest row, 0.96 to 0.99 are tokens with groups of 64, and 0.83 to 0.96 with groups of 16.
_BATCHES_PER_GROUP = {1: 16, 2: 64}


class Order:
    """The order in which one run learns from its examples.

    Each epoch is a fresh permutation of all examples; a batch may straddle two epochs. No state: a
    resumed run asks for the step it stands at.

    Args:
      seed: of the run.
      lengths: i64[N], tokens of each example.
      batch_size: B.
      grouped: let examples of similar length share a batch, so that little of it is padding. Examples are drawn at
        random into groups of 64 batches and only sorted within their group.
      rule: 2, or 1 as it was before: groups of 16 batches, and from the second epoch on, where the first did not end
        with a whole batch, batches of the end of one and the beginning of another.
    """

    def __init__(self, seed: int, lengths: np.ndarray, batch_size: int, grouped: bool = True, rule: int = RULE):
        self._seed, self._lengths, self._batch_size = seed, np.asarray(lengths), batch_size
        self._grouped, self._rule = grouped, rule
        self._epoch = functools.lru_cache(maxsize=2)(self._order_of_epoch)

    def at(self, step: int) -> np.ndarray:
        """The examples of a step: i64[B]."""
        count = len(self._lengths)
        places = np.arange(step * self._batch_size, (step + 1) * self._batch_size)
        return np.array([self._epoch(int(place) // count)[place % count] for place in places])

    def first(self, steps: int) -> np.ndarray:
        """The examples of all steps before `steps`: i64[steps, B]."""
        epochs = range(-(-steps * self._batch_size // len(self._lengths)))
        drawn = [self._epoch(epoch) for epoch in epochs] or [np.zeros(0, np.int64)]
        return np.concatenate(drawn)[: steps * self._batch_size].reshape(steps, self._batch_size)

    def times_drawn(self, steps: int) -> np.ndarray:
        """How often each example is learned from in the first `steps` steps: i64[N].

        Worked example: 3 steps of 4 draw each of 10 examples once and two of them, the first of the second epoch,
        again.
        """
        epochs, rest = divmod(steps * self._batch_size, len(self._lengths))
        times = np.full(len(self._lengths), epochs)
        if rest:
            times[self._epoch(epochs)[:rest]] += 1
        return times

    def _order_of_epoch(self, epoch: int) -> np.ndarray:
        count, size = len(self._lengths), self._batch_size
        order = seeds.rng(self._seed, "order", epoch).permutation(count)
        if not self._grouped:
            return order
        group = _BATCHES_PER_GROUP[self._rule] * size
        # What the batch takes that began in the epoch before.
        begun = -epoch * count % size if self._rule > 1 else 0
        for start in range(begun, count, group):
            chosen = order[start : start + group]
            chosen = chosen[np.argsort(self._lengths[chosen], kind="stable")]
            whole = len(chosen) // size * size
            batches = chosen[:whole].reshape(-1, size)
            # Without the seed: all members of a population have their long batches at the same steps.
            shuffled = seeds.rng(0, "groups", epoch, start).permutation(len(batches))
            order[start : start + group] = np.concatenate([batches[shuffled].ravel(), chosen[whole:]])
        return order
