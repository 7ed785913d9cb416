"""Demonstrations that are drawn at random."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from retrieval_oracle import pool_of

from ipt_jax import seeds
from ipt_jax.errors import InputError
from ipt_jax.retrieval import Pool, random_neighbours


@given(st.lists(st.sampled_from(["x", "y", "z"]), min_size=3, max_size=30), st.integers(1, 2), st.booleans())
def test_a_random_draw_is_the_first_of_a_shuffled_pool_that_may_be_shown(texts, k, exclude):
    pool = pool_of(texts)
    order = {id: seeds.rng(0, "demonstration", id).permutation(len(texts)) for id in pool.ids}
    allowed = [
        [e for e in order[id] if pool.ids[e] != id and not (exclude and texts[e] == text)]
        for id, text in zip(pool.ids, texts, strict=True)
    ]
    if min(map(len, allowed)) < k:
        with pytest.raises(InputError, match=r"layout\.demonstrations"):
            random_neighbours(pool, pool, k, seed=0, exclude_duplicates=exclude)
        return
    found = random_neighbours(pool, pool, k, seed=0, exclude_duplicates=exclude)
    assert found.indices.tolist() == [row[:k] for row in allowed]


def test_a_random_draw_depends_on_the_examples_id_and_the_seed_alone():
    pool = pool_of(f"text {i}" for i in range(50))
    many = pool_of((f"query {i}" for i in range(9)), "test")
    one = Pool(["test:6"], ["query 6"])
    all_drawn = random_neighbours(many, pool, 2, seed=0)
    assert all_drawn.similarities is None
    assert (random_neighbours(one, pool, 2, seed=0).indices[0] == all_drawn.indices[6]).all()
    assert (random_neighbours(many, pool, 2, seed=1).indices != all_drawn.indices).any()
