"""Rows in one flat array are the rows that were put in, in a tenth of the memory."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipt_jax.rows.flat_rows import WORTH_SHARING, FlatRows, row_sizes, shared_tokens
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


@st.composite
def beginning_alike(draw):
    """Rows that begin with some of the same tokens, as many as it comes, and have a source token behind these."""
    common = draw(st.lists(st.integers(0, 3), max_size=WORTH_SHARING + 4))
    rows = []
    for own in draw(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=4), min_size=1, max_size=4)):
        tokens = (*common[: draw(st.integers(len(common) - 2, len(common) + 1))], *own)
        rows.append(Row("", tokens, len(tokens) - 1, (), 0, False))
    return rows


@given(beginning_alike(), beginning_alike(), st.data())
def test_what_all_rows_begin_with_leaves_each_a_source_token_and_is_shared_where_it_is_long(rows, others, data):
    def obvious(rows):
        count = 0
        while all(count < row.source_length - 1 and row.tokens[count] == rows[0].tokens[count] for row in rows):
            count += 1
        return count if count >= WORTH_SHARING else 0

    places = data.draw(st.lists(st.integers(0, len(rows) - 1), unique=True, max_size=len(others)))
    flat = FlatRows(rows).with_others(places, others[: len(places)])
    assert shared_tokens(list(flat)) == shared_tokens(flat) == obvious(list(flat))
    assert shared_tokens(flat, others) == obvious([*flat, *others])


def test_a_token_takes_four_bytes_until_its_row_is_asked_for():
    tracemalloc.start()
    flat = FlatRows(Row("", tuple(range(1000, 1500)), 400, (), 0, False) for _ in range(1000))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1.2 * 4 * 500 * 1000
    assert flat[3].tokens == tuple(range(1000, 1500)) and all(type(token) is int for token in flat[3].tokens)
