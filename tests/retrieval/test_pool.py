"""What all retrievers share: nothing leaks, draws depend on (id, seed) alone, finished searches are kept."""

import numpy as np
import pytest
from retrieval_oracle import pool_of

from ipt_jax.errors import InputError
from ipt_jax.retrieval import Pool, bm25_neighbours, dense_neighbours, random_neighbours


def letters(texts):
    """A tiny embedding: how often each letter occurs."""
    return np.array([[text.count(c) for c in "abcde"] for text in texts], np.float32) + 0.01


FIND = {
    "random": lambda *args, **options: random_neighbours(*args, seed=0, **options),
    "bm25": bm25_neighbours,
    "dense": lambda *args, **options: dense_neighbours(*args, embed=letters, **options),
}


@pytest.mark.parametrize("retriever", FIND)
@pytest.mark.parametrize("exclude", [True, False])
def test_an_example_never_demonstrates_itself_nor_by_default_its_duplicate(retriever, exclude):
    texts = ["a b c", "a b c", "a b d", "a c e", "a d e"]
    pool = pool_of(texts)
    found = FIND[retriever](pool, pool, 3, exclude_duplicates=exclude)
    for i, neighbours in enumerate(found.indices):
        assert i not in neighbours and len(set(neighbours.tolist())) == 3
        if exclude:
            assert texts[i] not in [texts[n] for n in neighbours]
    if not exclude and retriever != "random":
        assert found.indices[0][0] == 1
    assert found.duplicates_excluded == (2 if exclude else 0)


@pytest.mark.parametrize("retriever", FIND)
@pytest.mark.parametrize(("texts", "k"), [(["a b c", "a b d"], 2), (["a b c", "a b d"], 3), (["a", "a", "a"], 1)])
def test_too_few_examples_to_show_is_an_error_that_names_the_example(retriever, texts, k):
    pool = pool_of(texts)
    with pytest.raises(InputError, match=rf"layout\.demonstrations={k}.*train:0.*raise limit\.train"):
        FIND[retriever](pool, pool, k)


@pytest.mark.parametrize("retriever", FIND)
def test_a_query_of_another_split_with_the_same_id_is_no_entry_of_the_pool(retriever):
    texts = ["a b c", "b c d", "a d e"]
    pool = Pool(["0", "1", "2"], texts)
    queries = Pool(["0", "1", "2"], [f"{text} z" for text in texts], "test")
    found = FIND[retriever](queries, pool, 3)
    assert found.duplicates_excluded == 0
    assert all(set(row) == {0, 1, 2} for row in found.indices.tolist())
    if retriever != "random":
        assert found.indices[:, 0].tolist() == [0, 1, 2]
