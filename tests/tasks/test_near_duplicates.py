"""Near duplicates, against comparing all with all."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipt_jax.tasks.near_duplicates import near_duplicates

TEXTS = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=8).map(" ".join), max_size=8)


def jaccard(a, b):
    a, b = (set(re.findall(r"\w+", text.lower())) for text in (a, b))
    return len(a & b) / len(a | b) if a | b else 0.0


@given(TEXTS, TEXTS, st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]))
def test_near_duplicates_are_those_that_comparing_all_with_all_finds(queries, pool, threshold):
    found = near_duplicates(queries, pool, threshold)
    assert len(found) == len(queries)
    for query, twin in zip(queries, found, strict=True):
        similarities = [jaccard(query, text) for text in pool]
        best = max(similarities, default=0.0)
        if best and best >= threshold - 1e-9:
            assert twin == (similarities.index(best), pytest.approx(best))
        else:
            assert twin is None
