"""Batches: the tokens in their places, few shapes, and an order without state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipt_jax import seeds
from ipt_jax.batching import bucket, collate, step_indices, times_drawn
from ipt_jax.layout import Row

LENGTHS = tuple(np.random.default_rng(0).integers(10, 200, size=640).tolist())


def row(tokens, source_length):
    return Row("", tuple(tokens), source_length, (), 0, False)


def test_a_batch_holds_every_target_and_the_position_that_predicts_it():
    batch = collate([[row((7, 8, 9, 5), 2), row((4, 3, 2), 2)]])
    assert batch.tokens.shape == (1, 2, 32) and batch.targets.shape == (1, 2, 32)
    assert batch.tokens[0, 0, :5].tolist() == [7, 8, 9, 5, 0]
    assert batch.target_positions[0, 0, :2].tolist() == [1, 2]
    assert batch.targets[0, 0, :2].tolist() == [9, 5]
    assert batch.weights.sum(axis=2).tolist() == [[2.0, 1.0]]


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 30)), min_size=1, max_size=6))
def test_every_target_token_is_learned_exactly_once_from_the_token_before_it(sizes):
    rows = [row(range(1, source + target + 1), source) for source, target in sizes]
    batch = collate([rows])
    for b, (source, target) in enumerate(sizes):
        real = batch.weights[0, b] == 1
        assert real.sum() == target
        places = batch.target_positions[0, b][real]
        assert (batch.tokens[0, b][places + 1] == batch.targets[0, b][real]).all()
        assert places.tolist() == list(range(source - 1, source + target - 1))


@given(st.integers(1, 5000))
def test_a_bucket_is_long_enough_and_at_most_half_again_as_long_as_needed(length):
    assert length <= bucket(length) <= max(32, length * 1.5)


def test_a_bucket_stops_at_the_limit_that_the_model_sets():
    assert collate([[row(range(60), 50)]], limit=61).tokens.shape[2] == 61


@given(st.integers(0, 5), st.integers(1, 7), st.lists(st.integers(1, 50), min_size=1, max_size=60), st.booleans())
def test_every_epoch_sees_every_example_once(seed, batch_size, lengths, grouped):
    count = len(lengths)  # so many steps are batch_size whole epochs
    steps = [step_indices(seed, step, batch_size, tuple(lengths), grouped) for step in range(count)]
    seen = np.concatenate(steps).reshape(batch_size, count)
    assert (np.sort(seen, axis=1) == np.arange(count)).all()


@pytest.mark.parametrize("grouped", [True, False])
def test_the_order_depends_on_seed_and_step_alone(grouped):
    late_first = step_indices(3, 40, 8, LENGTHS, grouped)
    for step in range(40):
        step_indices(3, step, 8, LENGTHS, grouped)
    assert (step_indices(3, 40, 8, LENGTHS, grouped) == late_first).all()
    assert (step_indices(4, 40, 8, LENGTHS, grouped) != late_first).any()


def test_grouping_brings_similar_lengths_together_at_the_same_steps_for_all_members():
    def longest(seed, grouped):
        return np.array([max(LENGTHS[i] for i in step_indices(seed, step, 8, LENGTHS, grouped)) for step in range(40)])

    assert longest(0, True).mean() < 0.75 * longest(0, False).mean()
    assert np.abs(longest(0, True) - longest(1, True)).mean() < 10
    assert (np.diff(longest(0, True)[:16]) < 0).any()  # long and short batches alternate within a group


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("steps", [0, 3, 80, 130])
def test_examples_are_counted_as_often_as_the_steps_draw_them(steps, grouped):
    drawn = [i for step in range(steps) for i in step_indices(3, step, 8, LENGTHS, grouped)]
    counted = np.bincount(np.array(drawn, int), minlength=len(LENGTHS))
    assert (times_drawn(3, steps, 8, LENGTHS, grouped) == counted).all()


def test_streams_of_different_names_are_different_and_the_same_name_is_the_same():
    draws = {name: seeds.rng(0, name).integers(1 << 40) for name in ("order", "prompt", "demonstration")}
    assert len(set(draws.values())) == 3
    assert seeds.rng(0, "order").integers(1 << 40) == draws["order"]
    assert np.unique([seeds.rng(s, "order").integers(1 << 40) for s in range(20)]).size == 20
