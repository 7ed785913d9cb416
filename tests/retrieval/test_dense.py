"""Dense neighbours: exact in every block, farthest as well as nearest, in the order of the pool where equal."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from retrieval_oracle import cases, expected, pool_of
from tolerances import COSINE, close

from ipt_jax.errors import InputError
from ipt_jax.retrieval import SELECTIONS, dense, dense_neighbours
from ipt_jax.retrieval.pool import Distinct

TEXTS = st.text("abcd", min_size=1, max_size=5)


def signs(texts):
    """Which letters a text has, as four signs: cosines are exact in float32, and many are equal."""
    return np.array([[1 if c in text else -1 for c in "abcd"] for text in texts], np.float32)


@given(
    cases(TEXTS),
    st.integers(1, 3),
    st.sampled_from(SELECTIONS),
    st.booleans(),
    st.sampled_from([1, 1024]),
    st.sampled_from([2, 8192]),
)
def test_dense_neighbours_are_those_of_a_full_sort(case, k, selection, exclude, query_block, entry_block):
    queries, pool = case
    cosines = signs(queries.inputs) @ signs(pool.inputs).T / 4
    oracle = expected(queries, pool, cosines, k, selection, exclude)
    options = {"embed": signs, "selection": selection, "exclude_duplicates": exclude}
    blocks = {"_QUERIES_PER_BLOCK": query_block, "_ENTRIES_PER_BLOCK": entry_block}
    with mock.patch.multiple(dense, **blocks):
        if oracle is None:
            with pytest.raises(InputError, match=rf"layout\.demonstrations={k}"):
                dense_neighbours(queries, pool, k, **options)
            return
        found = dense_neighbours(queries, pool, k, **options)
    indices, similarities, duplicates = oracle
    assert found.indices.tolist() == indices.tolist()
    assert found.similarities.tolist() == similarities.tolist()
    assert found.duplicates_excluded == duplicates


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("entry_block", [256, 8192])
def test_a_pool_of_many_chunks_gives_what_numpy_sorts(selection, entry_block, monkeypatch):
    monkeypatch.setattr(dense, "_QUERIES_PER_BLOCK", 300)
    monkeypatch.setattr(dense, "_ENTRIES_PER_BLOCK", entry_block)
    vectors = np.random.default_rng(0).standard_normal((1500, 16)).astype(np.float32) * 3
    pool = pool_of(f"text {i}" for i in range(1500))
    found = dense_neighbours(pool, pool, 3, embed=lambda texts: vectors, selection=selection)
    unit = vectors.astype(np.float64) / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, np.inf if selection == "farthest" else -np.inf)
    order = np.argsort(cosines if selection == "farthest" else -cosines, axis=1)[:, :3]
    assert (found.indices == order).all()
    close(found.similarities, np.take_along_axis(cosines, order, axis=1), COSINE)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.integers(1, 4))
def test_distinct_texts_and_their_places_are_the_texts_again(texts, width):
    distinct = Distinct.of(texts)
    assert [distinct.texts[group] for group in distinct.group] == texts
    assert len(set(distinct.texts)) == len(distinct.texts)
    for text, places in zip(distinct.texts, distinct.places(width), strict=True):
        assert [p for p in places if p >= 0] == [i for i, other in enumerate(texts) if other == text][:width]


def test_each_distinct_input_is_embedded_once():
    embedded = []

    def embed(texts):
        embedded.extend(texts)
        return signs(texts)

    pool = pool_of(["a", "b", "a", "c", "b"])
    dense_neighbours(pool, pool, 1, embed=embed)
    assert embedded == ["a", "b", "c"]


def test_an_input_without_direction_is_similar_to_nothing():
    pool = pool_of(["a", "b", "c"])
    vectors = np.array([[0, 0], [1, 1], [1, 0]], np.float32)
    found = dense_neighbours(pool, pool, 2, embed=lambda texts: vectors)
    assert found.similarities[0].tolist() == [0.0, 0.0] and found.indices[0].tolist() == [1, 2]


def test_a_vector_that_is_not_finite_is_an_error_that_names_its_text():
    pool = pool_of(["good", "bad"])
    vectors = np.array([[1, 1], [np.nan, 1]], np.float32)
    with pytest.raises(InputError, match="the vector of 'bad' is not finite"):
        dense_neighbours(pool, pool, 1, embed=lambda texts: vectors)
