"""What a population learns from: few shapes, hardly a padded position, and the same rows as in a run alone."""

import types

import jax
import numpy as np
import pytest

from ipt_jax.rows.layout import Row
from ipt_jax.rows.order import RULES
from ipt_jax.training.feed import DEV_SHAPES, Feed, Learner, shapes_for

# Lengths as those of the paper's tasks: most rows near the median, some three times as long.
SIZES = np.random.default_rng(0).lognormal(4.3, 0.5, 4003).astype(int) + 8


def rows_of(sizes, seed=0):
    random = np.random.default_rng(seed)
    targets = np.maximum(1, (sizes * random.uniform(0.1, 0.6, len(sizes))).astype(int))
    return [
        Row("", tuple(range(1, size + 1)), int(size - target), (), 0, False)
        for size, target in zip(sizes, targets, strict=True)
    ]


ROWS = rows_of(SIZES)


def learner(seed, rows=ROWS):
    return Learner(seed, 1e-3, rows, rows[:30])


def feed_of(*learners, steps=2000, limit=10_000, rule=2):
    training = types.SimpleNamespace(steps=steps, batch_size=8, group_by_length=True)
    return Feed(learners, training, limit, rule)


def taken(feed, steps):
    return [feed.batch(step) for step in steps]


def shapes_of(batches):
    return {(batch.tokens.shape, batch.targets.shape) for batch in batches}


@pytest.mark.parametrize("steps", [10, 200, 2000])
def test_a_training_run_compiles_no_more_programs_than_stated(steps):
    feed = feed_of(learner(0), steps=steps)
    shapes = shapes_of(taken(feed, range(steps)))
    assert len(shapes) <= len(feed.shapes) <= shapes_for(steps) <= min(16, 1 + steps / 40)
    assert len(shapes_of(feed.dev)) <= DEV_SHAPES == 2


def test_an_instruction_that_all_rows_begin_with_is_in_each_batch_once():
    rows = [Row("", (i, *row.tokens), row.source_length + 1, (), 0, False) for i, row in enumerate(ROWS[:100])]
    told = [Row("", (*range(50, 80), *row.tokens), row.source_length + 30, (), 0, False) for row in rows]
    feed, plain = feed_of(learner(0, told), steps=20), feed_of(learner(0, rows), steps=20)
    assert (feed.shared, plain.shared) == (30, 0) and feed.shapes.tolist() == plain.shapes.tolist()
    for told_batch, batch in zip(
        [*taken(feed, range(20)), *feed.dev], [*taken(plain, range(20)), *plain.dev], strict=True
    ):
        assert (told_batch.shared == np.arange(50, 80)).all() and batch.shared is None
        assert all((told == own).all() for told, own in zip(told_batch[:4], batch[:4], strict=True))


def test_of_all_positions_that_are_computed_at_least_88_in_a_hundred_hold_a_token():
    def real(rule):
        batches = taken(feed_of(learner(0), rule=rule), range(2000))
        return sum((batch.tokens > 0).sum() for batch in batches) / sum(batch.tokens.size for batch in batches)

    assert real(2) > 0.9 > 0.85 > real(1)


@pytest.mark.parametrize("rule", RULES)
def test_a_member_sees_in_a_population_what_it_sees_alone(rule):
    others = rows_of(SIZES * 2, seed=1)
    together = feed_of(learner(0, others), learner(1), learner(2), rule=rule)
    alone = feed_of(learner(1), rule=rule)
    for step in (0, 7, 600, 1999):
        one, several = alone.batch(step), together.batch(step)
        for array, all_members in zip(jax.tree.leaves(one), jax.tree.leaves(several), strict=True):
            wide = all_members[1:2]
            assert (wide[..., : array.shape[-1]] == array).all() and not wide[..., array.shape[-1] :].any()


def test_which_batch_a_step_gets_does_not_depend_on_the_steps_before_it():
    steps = [5, 1500, 3]
    through, late = feed_of(learner(0)), feed_of(learner(0))
    for step, batch in zip(steps, taken(late, steps), strict=True):
        for ours, theirs in zip(jax.tree.leaves(batch), jax.tree.leaves(through.batch(step)), strict=True):
            assert ours.shape == theirs.shape and (ours == theirs).all()


def test_no_batch_is_wider_than_the_model_has_positions_for():
    limit = int(SIZES.max())
    assert max(batch.tokens.shape[2] for batch in taken(feed_of(learner(0), limit=limit), range(2000))) == limit


def test_dev_batches_have_as_many_rows_and_what_fills_the_last_one_counts_for_nothing():
    feed = feed_of(learner(0), learner(1))
    assert {batch.tokens.shape[:2] for batch in feed.dev} == {(2, 8)} and len(feed.dev) == 4
    counted = sum(batch.weights.sum(axis=(1, 2)) for batch in feed.dev)
    assert counted.tolist() == [sum(len(row.tokens) - row.source_length for row in ROWS[:30])] * 2
