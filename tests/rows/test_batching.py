"""Batches: the tokens in their places, in the first shape that fits."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ipt_jax.rows.batching import collate
from ipt_jax.rows.layout import Row


def row(tokens, source_length):
    return Row("", tuple(tokens), source_length, (), 0, False)


def test_a_batch_holds_every_target_and_the_position_that_predicts_it():
    batch = collate([[row((7, 8, 9, 5), 2), row((4, 3, 2), 2)]])
    assert batch.tokens.shape == (1, 2, 8) and batch.targets.shape == (1, 2, 8)
    assert batch.tokens[0, 0, :5].tolist() == [7, 8, 9, 5, 0]
    assert batch.target_positions[0, 0, :2].tolist() == [1, 2]
    assert batch.targets[0, 0, :2].tolist() == [9, 5]
    assert batch.weights.sum(axis=2).tolist() == [[2.0, 1.0]]


def test_tokens_that_all_rows_of_a_member_begin_with_stand_apart_and_the_others_count_from_there():
    batch = collate([[row((7, 8, 9, 5, 6), 3), row((7, 8, 4, 2), 3)]], shared=2)
    assert batch.shared.tolist() == [[[7, 8], [7, 8]]]
    assert batch.tokens[0, :, :4].tolist() == [[9, 5, 6, 0], [4, 2, 0, 0]]
    assert batch.target_positions[0, :, :2].tolist() == [[0, 1], [0, 0]]
    assert batch.targets[0, :, :2].tolist() == [[5, 6], [2, 0]]
    assert collate([[row((7, 8, 9), 2)]]).shared is None


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


def test_a_batch_takes_the_first_shape_that_fits_the_longest_row_and_the_longest_target():
    shapes = np.array([[24, 8], [40, 8], [32, 24], [64, 24]])
    for tokens, source, shape in ((20, 15, (24, 8)), (25, 20, (40, 8)), (24, 4, (32, 24)), (41, 40, (64, 24))):
        batch = collate([[row(range(3), 1), row(range(tokens), source)]], shapes)
        assert (batch.tokens.shape[2], batch.targets.shape[2]) == shape
