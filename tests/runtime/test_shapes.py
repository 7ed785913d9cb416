"""Sizes that arrays are padded to: wide enough, few, and hardly wider than need be."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_jax.runtime.shapes import bucket, few_shapes, round_up

NEEDED = st.lists(st.tuples(st.integers(1, 3000), st.integers(0, 200)), min_size=1, max_size=60)


def cost(shape):
    return shape[0] + shape[1] / 4


@given(st.integers(1, 5000))
def test_a_bucket_is_long_enough_and_at_most_half_again_as_long_as_needed(length):
    assert length <= bucket(length) <= max(32, length * 1.5)


def test_rounding_up_pads_by_less_than_16_tokens_or_an_eighth():
    for length in range(1, 3000):
        assert 0 <= round_up(length) - length < max(16, length / 8)
        assert 0 <= round_up(length, 8, 64) - length < max(8, length / 32)


@settings(max_examples=50)
@given(NEEDED, st.integers(1, 16))
def test_every_batch_fits_one_of_at_most_so_many_shapes_the_cheapest_first(needed, most):
    needed = np.array(needed)
    shapes = few_shapes(needed, most)
    assert len(shapes) <= most and [cost(s) for s in shapes] == sorted(map(cost, shapes))
    assert (shapes[:, None] >= needed).all(axis=2).any(axis=0).all()


@pytest.mark.parametrize("most", [1, 2, 3])
def test_the_shapes_are_near_the_best_that_there_are(most):
    random = np.random.default_rng(most)
    needed = np.stack([random.choice([16, 24, 40, 80], 30), random.choice([8, 16, 32], 30)], axis=1)

    def padded(shapes):
        fitting = [[cost(s) for s in shapes if (np.array(s) >= need).all()] for need in needed]
        return sum(map(min, fitting)) if all(fitting) else np.inf

    every = list(itertools.product((16, 24, 40, 80), (8, 16, 32)))
    best = min(padded(choice) for choice in itertools.combinations(every, most))
    assert padded(few_shapes(needed, most)) <= 1.1 * best


def test_no_shape_passes_the_limit_that_the_model_sets():
    assert few_shapes(np.array([[60, 10], [9, 10]]), 2, limit=61).tolist() == [[16, 16], [61, 16]]
