"""The largest entries of rows, beside jax's own."""

import jax
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ipt_jax.retrieval.top_k import CHUNK, round_up, top_k


@given(st.sampled_from([3, 6]), st.sampled_from([1, 4]), st.integers(0, 2**31))
def test_top_k_gives_what_lax_gives_also_among_equals(chunks, k, seed):
    random = np.random.default_rng(seed)
    scores = random.choice([-np.inf, 0.0, 1.0, 2.0], (3, chunks * CHUNK), p=[0.5, 0.48, 0.01, 0.01])
    scores = scores.astype(np.float32)
    values, places = top_k(scores, k)
    right, where = jax.lax.top_k(scores, k)
    assert (values == right).all() and (places == where).all()
    assert np.asarray(places).tolist() == np.argsort(-scores, axis=1, kind="stable")[:, :k].tolist()


def test_top_k_takes_rows_of_any_length():
    scores = np.arange(CHUNK * 3 + 1, dtype=np.float32)[None, :]
    assert top_k(scores, 2)[1].tolist() == [[CHUNK * 3, CHUNK * 3 - 1]]
    assert [round_up(size) for size in (0, 1, CHUNK, CHUNK + 1)] == [CHUNK, CHUNK, CHUNK, 2 * CHUNK]
