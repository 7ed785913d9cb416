"""Rows in one flat array are the rows that were put in, in a tenth of the memory."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipt_jax.rows.flat_rows import FlatRows, row_sizes
from ipt_jax.rows.layout import Demonstration, Row

SHOWN = Demonstration("train:1", "in", "out", 0.5)


@st.composite
def any_row(draw):
    tokens = draw(st.lists(st.integers(0, 2**31 - 1), max_size=20))
    source_length = draw(st.integers(0, len(tokens)))
    return Row(draw(st.text(max_size=5)), tuple(tokens), source_length, draw(st.sampled_from([(), (SHOWN,)])), 1, True)


@given(st.lists(any_row(), max_size=8))
def test_the_rows_come_out_as_they_were_put_in(rows):
    flat = FlatRows(iter(rows))
    assert len(flat) == len(rows) and list(flat) == rows
    assert flat[1:-1] == rows[1:-1] and [flat[-1 - i] for i in range(len(rows))] == rows[::-1]
    assert row_sizes(flat).tolist() == row_sizes(rows).tolist()
    with pytest.raises(IndexError):
        flat[len(rows)]


@given(st.lists(any_row(), min_size=1, max_size=8), st.lists(any_row(), min_size=8, max_size=8), st.data())
def test_rows_with_others_at_some_places_leave_the_first_ones_as_they_are(rows, others, data):
    places = data.draw(st.lists(st.integers(0, len(rows) - 1), unique=True))
    flat = FlatRows(rows)
    changed = flat.with_others(places, others[: len(places)])
    expected = [others[places.index(i)] if i in places else row for i, row in enumerate(rows)]
    assert list(changed) == expected and row_sizes(changed).tolist() == row_sizes(expected).tolist()
    assert list(flat) == rows and row_sizes(flat).tolist() == row_sizes(rows).tolist()


def test_a_token_takes_four_bytes_until_its_row_is_asked_for():
    tracemalloc.start()
    flat = FlatRows(Row("", tuple(range(1000, 1500)), 400, (), 0, False) for _ in range(1000))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1.2 * 4 * 500 * 1000
    assert flat[3].tokens == tuple(range(1000, 1500)) and all(type(token) is int for token in flat[3].tokens)
